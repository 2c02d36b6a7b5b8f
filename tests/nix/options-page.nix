# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# docs/nixos-options.md is what the module says, but for what another nixpkgs may say in other words: the
# types, and where lines break. (scripts/nix-checks compares every byte, with its own.)
{
  lib,
  pkgs,
  runCommand,
}:

let
  words =
    page:
    lib.filter (word: lib.isString word && word != "") (
      lib.concatMap (builtins.split "[[:space:]]+") (
        lib.filter (line: !lib.hasPrefix "Type: " line) (lib.splitString "\n" page)
      )
    );
in
if
  words (builtins.readFile ../../docs/nixos-options.md)
  == words (import ../../nixos/options-page.nix { inherit lib pkgs; })
then
  runCommand "okms-k8s-encryption-provider-options-page" { } "touch $out"
else
  throw "docs/nixos-options.md is not what nixos/ says: scripts/nix-checks --update"
