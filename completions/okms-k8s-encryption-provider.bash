# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Needs nothing of bash-completion but that it loads this file.

_okms_k8s_encryption_provider() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]}
  # "=" is a word by itself: --flag = value.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $flag == '=' && $COMP_CWORD -ge 2 ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  local action=() flags=(
    -h --help --version --check-config --debug
    --protocol --serv-addr --kmip-addr --timeout --max-connections --okms-id
    --encryption-key-id --kmip-key-id --encryption-key-label --encryption-key-id-file --label-grace
    --client-cert --client-key --ca --ca-only
    --sock --sock-group --allow-uid --allow-gid
    --status-listen --status-listen-anywhere --user --log-format
  )
  # A long flag may have one dash, too. Stripped of both it gets two.
  flag=${flag#-}
  case --${flag#-} in
    --protocol) action=(-W 'kmip rest') ;;
    --log-format) action=(-W 'auto text json') ;;
    --client-cert | --client-key | --ca | --sock | --encryption-key-id-file) action=(-f) ;;
    --user | --allow-uid) action=(-u) ;;
    --sock-group | --allow-gid) action=(-g) ;;
    --serv-addr | --kmip-addr | --timeout | --max-connections | --okms-id | --encryption-key-id | \
      --kmip-key-id | --encryption-key-label | --label-grace | --status-listen) return ;; # only the administrator knows
    *) action=(-W "${flags[*]}") ;;
  esac
  [[ ${action[0]} != -f ]] || compopt -o filenames
  mapfile -t COMPREPLY < <(compgen "${action[@]}" -- "$current")
}
complete -F _okms_k8s_encryption_provider okms-k8s-encryption-provider
