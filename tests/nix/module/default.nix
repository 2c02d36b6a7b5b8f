# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The NixOS module: what good configurations become, and that each mistake is named. All of it happens
# when this is evaluated; there is nothing to build.
{
  lib,
  stdenv,
  runCommand,
  nixosSystem,
  module,
}:

let
  at = "services.okms-k8s-encryption-provider";

  evaluate =
    modules:
    (nixosSystem {
      modules = [
        module
        { nixpkgs.hostPlatform = stdenv.hostPlatform.system; }
      ]
      ++ modules;
    }).config;

  # As it should be.
  instance = {
    servers = [ "kms.example.org:5696" ];
    keyId = "70001308-5674-43fe-93dd-6270ecac0710";
    credentials = {
      clientCertificate = "/var/lib/secrets/client.pem";
      clientKey = "/var/lib/secrets/client.key";
    };
  };
  plugin = instances: {
    services.okms-k8s-encryption-provider = {
      enable = true;
      inherit instances;
    };
  };
  main = plugin { main = instance; };
  two = plugin {
    one = instance;
    two = instance;
  };
  kubernetes = change: {
    services.okms-k8s-encryption-provider.kubernetes = {
      enable = true;
    }
    // change;
  };
  apiserver = {
    services.kubernetes = {
      masterAddress = "localhost";
      addons.dns.enable = false;
      apiserver = {
        enable = true;
        serviceAccountKeyFile = "/var/lib/secrets/sa.pem";
        serviceAccountSigningKeyFile = "/var/lib/secrets/sa.key";
      };
    };
  };

  # Ours; NixOS itself has more to say about a machine without a disk.
  complaints =
    modules:
    lib.filter (lib.hasPrefix at) (
      map (a: a.message) (lib.filter (a: !a.assertion) (evaluate modules).assertions)
    );

  given = {
    control = import ./control.nix given;
    inherit
      lib
      at
      evaluate
      instance
      plugin
      main
      two
      kubernetes
      apiserver
      complaints
      module
      ;
  };

  differences = lib.concatMap (
    {
      what,
      is,
      want,
    }:
    lib.optional (is != want) "${what}: is ${builtins.toJSON is}, should be ${builtins.toJSON want}"
  ) (import ./values.nix given ++ import ./status-pages.nix given ++ import ./encryption.nix given);

  failures = import ./mistakes.nix given ++ import ./kubernetes.nix given ++ differences;
in
if failures == [ ] then
  runCommand "okms-k8s-encryption-provider-module" { } "touch $out"
else
  throw "nixos/module.nix: ${lib.concatStringsSep "; " failures}"
