# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

set -l okms complete -c okms-k8s-encryption-provider
$okms -f
$okms -s h -l help -d 'Print the help and exit'
$okms -l version -d 'Print the version and exit'
$okms -l check-config -d 'Say what is wrong with the configuration, and exit'
$okms -l debug -d 'Log the course of events in detail'
$okms -l protocol -x -a 'kmip rest' -d 'Protocol of the KMS'
$okms -l serv-addr -x -d 'The KMS: host:port or https://host'
$okms -l kmip-addr -x -d 'The same as --serv-addr'
$okms -l timeout -x -d 'Bound of one operation'
$okms -l max-connections -x -d 'Connections to the KMS at most'
$okms -l okms-id -x -d 'Id of the OKMS domain'
$okms -l encryption-key-id -x -d 'Id of the key'
$okms -l kmip-key-id -x -d 'The same as --encryption-key-id'
$okms -l encryption-key-label -x -d 'Label of the key'
$okms -l encryption-key-id-file -r -F -d 'File that holds the id of the key'
$okms -l label-grace -x -d 'How long the label may lead astray'
$okms -l client-cert -r -F -d 'PEM file of the client certificate'
$okms -l client-key -r -F -d 'PEM file of its key'
$okms -l ca -r -F -d 'PEM file of the CA of the KMS'
$okms -l ca-only -d 'Trust only --ca with rest too'
$okms -l sock -r -F -d 'Unix socket to listen on'
$okms -l sock-group -x -a '(__fish_complete_groups)' -d 'Group of the socket file'
$okms -l allow-uid -x -a '(__fish_complete_users)' -d 'A user that may connect'
$okms -l allow-gid -x -a '(__fish_complete_groups)' -d 'A group that may connect'
$okms -l user -x -a '(__fish_complete_users)' -d 'Whom to become when root started it'
