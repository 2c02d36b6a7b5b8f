#compdef okms-kms-ctl
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

local command=
local -a help=('(- *)'{-h,--help}'[print the help and exit]')
local -a socket=(
  '--socket=[where kube-apiserver connects]:socket:_files'
  '--instance=[the instance of the units]:name: '
)
local -a places=('--status=[where the status pages are]:place:_files' $socket)
if (( CURRENT > 2 )); then
  command=$words[2]
  shift words
  (( CURRENT-- ))
fi
case $command in
  status)
    _arguments $help $places \
      '--wait=[wait until it is ready]:duration: ' \
      '--brief[say it in one line]' \
      '(-o --output)'{-o+,--output=}'[how to say it]:format:(text json)'
    ;;
  check)
    _arguments $help \
      '--unit=[the systemd service whose configuration it is]:unit: ' \
      '--env-file=[the file of variables that it is]:file:_files' \
      '--key=[prove the key of this id]:id: ' \
      '--as=[connect to the plugin as this user, too]:user:_users' \
      '--encryption-config=[look at this file of kube-apiserver, too]:file:_files' \
      '(-o --output)'{-o+,--output=}'[how to say it]:format:(text json)'
    ;;
  audit)
    _arguments $help \
      '--endpoints=[where etcd is]:urls: ' \
      '--etcd-cacert=[the CA that signed its certificates]:file:_files' \
      '--etcd-cert=[the certificate to show etcd]:file:_files' \
      '--etcd-key=[its key]:file:_files' \
      '--snapshot=[a file of etcd in its place]:file:_files' \
      '--prefix=[what the keys to read begin with]:prefix: ' \
      '--history[read old revisions, too]' \
      '--fail-unless-key=[exit with 1 unless all is under this key]:id: ' \
      '--fail-on-plaintext=[exit with 1 when one of these is in plain text]:resources: ' \
      '--round-trip=[how long a Decrypt takes]:duration: ' \
      '--prove-readable[have the plugin decrypt each different seed, once]' \
      '--rate=[how many of these a second]:number: ' \
      '--provider=[prove what this one has encrypted alone]:name: ' \
      '--plan[say what to do next until all is under one key]' \
      '--kubernetes=[the version of the cluster]:version: ' \
      '*--apiserver-metrics=[what a kube-apiserver has at /metrics]:file:_files' \
      '--socket=[where kube-apiserver connects]:socket:_files' \
      '--instance=[the instance of the units]:name: ' \
      '--verbose[name the first few objects, and all resources]' \
      '(-o --output)'{-o+,--output=}'[how to say it]:format:(text json)'
    ;;
  encryption-config)
    _arguments $help $socket \
      '--name=[name of the provider]:name: ' \
      '*--resource=[what is to be encrypted]:resource: ' \
      '--timeout=[how long kube-apiserver waits for a call]:duration: ' \
      '--from=[the file of before]:file:_files' \
      '--from-identity[nothing was encrypted before]' \
      '--step=[who writes and who reads]:step:(readers writer only)' \
      '(-f --file)'{-f+,--file=}'[a new file for it]:file:_files' \
      '(-o --output)'{-o+,--output=}'[how to say it]:format:(text json)'
    ;;
  bugreport)
    _arguments $help $places \
      '(-f --file)'{-f+,--file=}'[a new file for it]:file:_files'
    ;;
  '')
    _arguments $help \
      '(- *)--version[print the version and exit]' \
      '1:command:(status check audit encryption-config bugreport)'
    ;;
esac
