# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The scenarios of ../scenarios as tests of NixOS, one for each promise.
{ pkgs, module }:

let
  inherit (pkgs) lib;

  scenario =
    name:
    {
      script ? name,
      machine ? { },
    }:
    pkgs.testers.runNixOSTest {
      name = "okms-${name}";
      nodes.machine.imports = [
        module
        ./machine.nix
        machine
      ];
      testScript = lib.concatStrings [
        ''
          INSTANCE = "main"
        ''
        (builtins.readFile ../scenarios/common.py)
        (builtins.readFile (../scenarios + "/${script}.py"))
      ];
    };
in
lib.mapAttrs scenario {
  access = { };
  activation = { };
  alarm = { };
  bus = { };
  control_plane.machine = ./control-plane.nix;
  control_plane_rest = {
    script = "control_plane";
    machine.imports = [
      ./control-plane.nix
      ./rest.nix
    ];
  };
  etc_replaced = { };
  hardening = { };
  instances.machine = ./instances.nix;
  kms_away = { };
  log = { };
  migration.machine = ./migration.nix;
  migration_rest = {
    script = "migration";
    machine.imports = [
      ./migration.nix
      ./rest.nix
    ];
  };
  reload = { };
  renewal = { };
  restart = { };
  socket_changed.machine = ./status-pages.nix;
  watchdog = { };
  watching.machine = ./status-pages.nix;
  wrong_configuration = { };
}
