# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
{
  description = "Kubernetes KMS v2 plugin for OVHcloud KMS and any KMIP server";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forAllSystems =
        f:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: f system nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAllSystems (
        _: pkgs: rec {
          okms-k8s-encryption-provider = pkgs.callPackage ./nix/package.nix { };
          default = okms-k8s-encryption-provider;
          image = pkgs.callPackage ./nix/image.nix { inherit okms-k8s-encryption-provider; };
        }
      );

      overlays.default = final: _: {
        okms-k8s-encryption-provider = final.callPackage ./nix/package.nix { };
      };

      nixosModules = rec {
        # With no package of this flake's own: the machine builds it with its nixpkgs, whose libraries are
        # kept up to date.
        okms-k8s-encryption-provider.imports = [ ./nixos/module.nix ];
        default = okms-k8s-encryption-provider;
      };

      checks = forAllSystems (
        system: pkgs:
        {
          package = self.packages.${system}.default;
          inherit (self.packages.${system}) image;
          module = pkgs.callPackage ./tests/nix/module {
            inherit (nixpkgs.lib) nixosSystem;
            module = self.nixosModules.default;
          };
          options-page = pkgs.callPackage ./tests/nix/options-page.nix { };
        }
        // lib.mapAttrs' (name: lib.nameValuePair "vm-${name}") (
          import ./vm-tests/nixos {
            inherit pkgs;
            module = self.nixosModules.default;
          }
        )
      );

      devShells = forAllSystems (
        system: pkgs: {
          default = pkgs.mkShell {
            inputsFrom = [ self.packages.${system}.default ];
            packages = [
              pkgs.ccache
              pkgs.clang-tools
              pkgs.deadnix
              pkgs.nixfmt
            ];
          };
        }
      );

      formatter = forAllSystems (_: pkgs: pkgs.nixfmt-tree);
    };
}
