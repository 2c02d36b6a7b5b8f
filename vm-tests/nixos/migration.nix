# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A control plane, and what one stored in the days of the Go plugin.
{ config, lib, ... }:

let
  records = lib.importJSON ../stored-by-go.json;
  inherit (config.services.okms-k8s-encryption-provider.instances) main;
in
{
  imports = [ ./control-plane.nix ];

  environment.etc."vm-tests/stored-by-go.json".text = builtins.toJSON {
    inherit (records) name plaintext;
    value = records.${main.protocol};
  };
}
