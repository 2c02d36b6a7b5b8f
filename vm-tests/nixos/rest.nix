# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The same machine over REST.
{ lib, ... }:

let
  kms = lib.importJSON ../keys.json;
in
{
  services.okms-k8s-encryption-provider.instances.main = {
    protocol = "rest";
    servers = [ "https://localhost:${toString kms.restPort}" ];
    inherit (kms) okmsId;
  };
}
