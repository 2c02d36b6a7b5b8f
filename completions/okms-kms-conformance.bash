# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Needs nothing of bash-completion but that it loads this file.

_okms_kms_conformance() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]}
  # "=" is a word by itself: --flag = value.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $flag == '=' && $COMP_CWORD -ge 2 ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  local action=()
  case $flag in
    --socket) action=(-f) ;;
    -o | --output) action=(-W 'tap json') ;;
    --plugin | --kms | --rotate | --patience | --only) return ;; # only the user knows
    *)
      action=(-W '--socket --plugin --kms --kms-counts --rotate --patience --only --list -o --output
        -h --help --version')
      ;;
  esac
  [[ ${action[0]} != -f ]] || compopt -o filenames
  mapfile -t COMPREPLY < <(compgen "${action[@]}" -- "$current")
}
complete -F _okms_kms_conformance okms-kms-conformance
