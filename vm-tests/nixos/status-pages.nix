# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The same machine with status pages.
{
  services.okms-k8s-encryption-provider.instances.main.statusPages.enable = true;
}
