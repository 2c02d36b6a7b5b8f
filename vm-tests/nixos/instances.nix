# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Two more instances, with a key each.
{ config, lib, ... }:

let
  kms = lib.importJSON ../keys.json;
  inherit (config.services.okms-k8s-encryption-provider.instances) main;
in
{
  services.okms-k8s-encryption-provider.instances = lib.genAttrs [ "one" "two" ] (name: {
    inherit (main) servers credentials;
    keyId = kms.keys.${name}.id;
  });
}
