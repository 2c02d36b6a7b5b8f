# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# `import nixpkgs { ... }` of the stand-in
{
  system ? "x86_64-linux",
  overlays ? [ ],
  ...
}:
let
  lib = import ./lib.nix;
  # A path with a context, as the real ones have: what it goes into needs something of the store.
  known = path: builtins.substring 0 0 (builtins.toFile "context" "") + path;
  drv =
    name: extra:
    lib.fix (
      self:
      {
        type = "derivation";
        inherit name system;
        outPath = known "/nix/store/00000000000000000000000000000000-${name}";
        drvPath = "/nix/store/00000000000000000000000000000000-${name}.drv";
        outputs = [ "out" ];
        outputName = "out";
        tools = self // {
          outputName = "tools";
          outPath = known "/nix/store/00000000000000000000000000000000-${name}-tools";
        };
        meta.mainProgram = name;
        override = _: self;
        overrideAttrs = _: self;
      }
      // extra
    );
  file =
    name: text:
    drv name {
      outPath = builtins.toFile name (builtins.unsafeDiscardStringContext text);
      inherit text;
    };
  json = _: {
    type = lib.types.attrsOf lib.types.anything;
    generate = name: v: file name (builtins.toJSON v);
  };
  # every top-level name of nixpkgs that this repository names
  names = lib.filter (n: n != "") (
    builtins.filter builtins.isString (builtins.split "[ \n]+" (builtins.readFile ./names))
  );
  base = lib.genAttrs names (n: drv n { }) // {
    inherit lib system;
    pkgs = self;
    stdenv = {
      hostPlatform = {
        inherit system;
        isLinux = true;
      };
      mkDerivation =
        f:
        let
          a = if lib.isFunction f then lib.fix (x: f (x // { finalPackage = r; })) else f;
          r = drv (a.name or "${a.pname}-${a.version}") (
            removeAttrs a [ "meta" ]
            // {
              meta = a.meta or { };
              inputs = builtins.deepSeq (map toString (
                (a.nativeBuildInputs or [ ])
                ++ (a.buildInputs or [ ])
                ++ (a.checkInputs or [ ])
                ++ (a.nativeCheckInputs or [ ])
                ++ (a.cmakeFlags or [ ])
              )) null;
            }
          );
        in
        builtins.seq r.inputs r;
    };
    callPackage =
      f: over:
      let
        fn = if lib.isFunction f then f else import f;
      in
      fn (builtins.intersectAttrs (builtins.functionArgs fn) self // over);
    # Of the machine that runs the rendered units, rather than of NixOS: no setting that it does not know.
    systemd = drv "systemd" { version = "252"; };
    writeText = file;
    writeShellScript = file;
    runCommand =
      n: _: _:
      drv n { };
    mkShell =
      a: builtins.deepSeq (map toString ((a.packages or [ ]) ++ (a.inputsFrom or [ ]))) (drv "shell" { });
    formats.json = json;
    dockerTools.buildLayeredImage =
      a: builtins.deepSeq a (drv "${a.name}.tar.gz" { imageTag = a.tag; });
    testers.testVersion = { package }: drv "${package.name}-version" { };
    testers.runNixOSTest =
      t:
      let
        m =
          if lib.isFunction t then
            t {
              inherit lib;
              pkgs = self;
            }
          else
            t;
        nodes = lib.mapAttrs (
          _: node:
          let
            machine = import ./nixos.nix {
              inherit lib;
              pkgs = self;
            } [ node ];
          in
          if machine.failed == [ ] then
            machine.config
          else
            throw "Failed assertions:\n${lib.concatLines (map (m: "- ${m}") machine.failed)}"
        ) m.nodes;
        testScript = if lib.isFunction m.testScript then m.testScript { inherit nodes; } else m.testScript;
      in
      # As the real one does, everything that a machine would be built from.
      builtins.deepSeq
        [
          testScript
          (lib.mapAttrs (_: machine: {
            inherit (machine)
              environment
              networking
              users
              virtualisation
              ;
            # Without ours: a file that nobody asks for is not made. What is asked for is in the units.
            services = removeAttrs machine.services [ "okms-k8s-encryption-provider" ];
            inherit (machine.systemd) tmpfiles units;
          }) nodes)
        ]
        (
          drv "vm-test-run-${m.name}" {
            inherit nodes;
            driver = { inherit testScript; };
          }
        );
  };
  self = base // lib.composeManyExtensions overlays self base;
in
self
