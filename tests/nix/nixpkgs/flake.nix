# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
{
  description = "stand-in for nixpkgs, for evaluation only";
  outputs =
    _:
    let
      lib = import ./lib.nix;
    in
    {
      lib = lib // {
        nixosSystem =
          { modules }:
          import ./nixos.nix {
            inherit lib;
            pkgs = import ./. { };
          } modules;
      };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system: import ./. { inherit system; }
      );
    };
}
