#compdef okms-kms-conformance
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0

_arguments \
  '(- *)'{-h,--help}'[print the help and exit]' \
  '(- *)--version[print the version and exit]' \
  '--socket=[where the plugin serves]:socket:_files' \
  '--plugin=[a command that runs the plugin]:command: ' \
  '--kms=[a command that runs its KMS]:command: ' \
  '--kms-counts[the KMS says how often it was asked for what]' \
  '--rotate=[a command after which another key is to be used]:command: ' \
  '--patience=[how long the plugin has to notice what has changed]:time: ' \
  '*--only=[look at this case alone]:case: ' \
  '--list[say what the cases are and exit]' \
  '(-o --output)'{-o+,--output=}'[how to say it]:format:(tap json)'
