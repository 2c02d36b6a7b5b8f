# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# docs/nixos-options.md is what the module says.
{
  lib,
  pkgs,
  runCommand,
}:

if
  builtins.readFile ../../docs/nixos-options.md
  == import ../../nixos/options-page.nix { inherit lib pkgs; }
then
  runCommand "okms-k8s-encryption-provider-options-page" { } "touch $out"
else
  throw "docs/nixos-options.md is not what nixos/module.nix says: scripts/nix-checks --update"
