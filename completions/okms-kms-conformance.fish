# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

set -l okms complete -c okms-kms-conformance
$okms -f
$okms -s h -l help -d 'Print the help and exit'
$okms -l version -d 'Print the version and exit'
$okms -l socket -r -F -d 'Where the plugin serves'
$okms -l plugin -x -d 'A command that runs the plugin'
$okms -l kms -x -d 'A command that runs its KMS'
$okms -l kms-counts -d 'The KMS says how often it was asked for what'
$okms -l rotate -x -d 'A command after which another key is to be used'
$okms -l patience -x -d 'How long the plugin has to notice what has changed'
$okms -l only -x -d 'Look at this case alone'
$okms -l list -d 'Say what the cases are and exit'
$okms -s o -l output -x -a 'tap json' -d 'How to say it'
