# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Needs nothing of bash-completion but that it loads this file.

_okms_kms_ctl() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} command=
  # "=" is a word by itself: --flag = value.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $flag == '=' && $COMP_CWORD -ge 2 ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  [[ $COMP_CWORD -lt 2 ]] || command=${COMP_WORDS[1]}
  local action=() places=(--status --socket --instance -h --help)
  case $flag in
    --status | --socket | -f | --file | --env-file | --encryption-config | --from | --snapshot | --etcd-* | --apiserver-metrics) action=(-f) ;;
    -o | --output) action=(-W 'text json') ;;
    --as) action=(-u) ;;
    --step) action=(-W 'readers writer only') ;;
    --wait | --instance | --unit | --key | --name | --resource | --timeout) return ;; # only the administrator knows
    --endpoints | --prefix | --fail-unless-key | --fail-on-plaintext | --round-trip | --rate | --provider | --kubernetes) return ;;
    *)
      case $command in
        status) action=(-W "--wait --brief -o --output ${places[*]}") ;;
        check) action=(-W '--unit --env-file --key --as --encryption-config -o --output -h --help') ;;
        encryption-config)
          action=(-W '--name --resource --timeout --from --from-identity --step -f --file -o --output --socket --instance -h --help')
          ;;
        audit)
          action=(-W '--endpoints --etcd-cacert --etcd-cert --etcd-key --snapshot --prefix --history
            --fail-unless-key --fail-on-plaintext --round-trip --prove-readable --rate --provider --plan
            --kubernetes --apiserver-metrics --socket --instance --verbose -o --output -h --help')
          ;;
        bugreport) action=(-W "-f --file ${places[*]}") ;;
        '') action=(-W 'status check audit encryption-config bugreport -h --help --version') ;;
        *) return ;;
      esac
      ;;
  esac
  [[ ${action[0]} != -f ]] || compopt -o filenames
  mapfile -t COMPREPLY < <(compgen "${action[@]}" -- "$current")
}
complete -F _okms_kms_ctl okms-kms-ctl
