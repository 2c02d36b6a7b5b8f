# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

set -l okms complete -c okms-kms-ctl
set -l none __fish_use_subcommand
set -l of_status '__fish_seen_subcommand_from status'
set -l of_check '__fish_seen_subcommand_from check'
set -l of_bugreport '__fish_seen_subcommand_from bugreport'
set -l any '__fish_seen_subcommand_from status bugreport'
$okms -f
$okms -s h -l help -d 'Print the help and exit'
$okms -n $none -l version -d 'Print the version and exit'
$okms -n $none -a status -d 'Say how the plugin is'
$okms -n $none -a check -d 'Look for what is wrong'
$okms -n $none -a bugreport -d 'Collect what somebody else needs to see what is wrong'
$okms -n $of_status -l wait -x -d 'Wait until it is ready'
$okms -n $of_status -l brief -d 'Say it in one line'
$okms -n $of_status -s o -l output -x -a 'text json' -d 'How to say it'
$okms -n $of_check -l unit -x -d 'The systemd service whose configuration it is'
$okms -n $of_check -l env-file -r -F -d 'The file of OKMS_* variables that it is'
$okms -n $of_check -l key -x -d 'Prove the key of this id'
$okms -n $of_check -l as -x -a '(__fish_complete_users)' -d 'Connect to the plugin as this user, too'
$okms -n $of_check -l encryption-config -r -F -d 'Look at this file of kube-apiserver\'s, too'
$okms -n $of_check -s o -l output -x -a 'text json' -d 'How to say it'
$okms -n $of_bugreport -s f -l file -r -F -d 'A new file for it'
$okms -n $any -l status -r -F -d 'Where the status pages are'
$okms -n $any -l socket -r -F -d 'Where kube-apiserver connects'
$okms -n $any -l instance -x -d 'The instance of the units'
