# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The NixOS options that our module and the machines of our VM tests set, declared
# loosely, and the text of the units they give.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;
  any = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  listOpt = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  strOpt = mkOption {
    type = types.str;
    default = "";
  };
  nullOrStr = mkOption {
    type = types.nullOr types.str;
    default = null;
  };
  boolOpt = mkOption {
    type = types.bool;
    default = false;
  };
  unitNames = mkOption {
    type = types.listOf (
      types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|target|timer|mount|path|slice)"
    );
    default = [ ];
  };
  unitOptions = {
    description = strOpt;
    documentation = listOpt;
    enable = mkOption {
      type = types.bool;
      default = true;
    };
    unitConfig = any;
  }
  // lib.genAttrs [
    "after"
    "before"
    "requires"
    "wants"
    "bindsTo"
    "partOf"
    "conflicts"
    "requiredBy"
    "wantedBy"
    "upholds"
  ] (_: unitNames);
  service = types.submodule {
    options = unitOptions // {
      serviceConfig = any;
      environment = any;
      path = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      restartTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      reloadTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      restartIfChanged = mkOption {
        type = types.bool;
        default = true;
      };
      stopIfChanged = mkOption {
        type = types.bool;
        default = true;
      };
      preStart = mkOption {
        type = types.lines;
        default = "";
      };
      script = mkOption {
        type = types.lines;
        default = "";
      };
    };
  };
  timer = types.submodule {
    options = unitOptions // {
      timerConfig = any;
    };
  };
  path = types.submodule {
    options = unitOptions // {
      pathConfig = any;
    };
  };
  socket = types.submodule {
    options = unitOptions // {
      socketConfig = any;
      listenStreams = listOpt;
      listenDatagrams = listOpt;
    };
  };

  base =
    { config, ... }:
    {
      config = {
        users.groups = lib.mkIf config.services.kubernetes.apiserver.enable { kubernetes = { }; };
        networking.proxy.envVars =
          let
            p = config.networking.proxy;
            https = if p.httpsProxy != null then p.httpsProxy else p.default;
          in
          lib.optionalAttrs (p.default != null) { no_proxy = "127.0.0.1,localhost"; }
          // lib.optionalAttrs (https != null) { https_proxy = https; }
          // lib.optionalAttrs (p.noProxy != null) { no_proxy = p.noProxy; };
      };
      options = {
        assertions = mkOption {
          type = types.listOf types.unspecified;
          default = [ ];
        };
        warnings = listOpt;
        environment = {
          systemPackages = mkOption {
            type = types.listOf types.package;
            default = [ ];
          };
          etc = any;
        };
        networking = {
          firewall = any;
          proxy = lib.genAttrs [ "default" "httpsProxy" "noProxy" ] (_: nullOrStr) // {
            envVars = any;
          };
        };
        nixpkgs.hostPlatform = strOpt;
        virtualisation = any;
        users = {
          users = any;
          groups = any;
        };
        systemd = {
          services = mkOption {
            type = types.attrsOf service;
            default = { };
          };
          sockets = mkOption {
            type = types.attrsOf socket;
            default = { };
          };
          timers = mkOption {
            type = types.attrsOf timer;
            default = { };
          };
          paths = mkOption {
            type = types.attrsOf path;
            default = { };
          };
          package = mkOption {
            type = types.package;
            default = pkgs.systemd;
          };
          tmpfiles = {
            rules = listOpt;
            settings = any;
          };
          slices = any;
          targets = any;
        };
        services = {
          dbus.packages = mkOption {
            type = types.listOf types.package;
            default = [ ];
          };
          etcd =
            lib.genAttrs [
              "advertiseClientUrls"
              "initialAdvertisePeerUrls"
              "initialCluster"
              "listenClientUrls"
              "listenPeerUrls"
            ] (_: listOpt)
            // lib.genAttrs [ "clientCertAuth" "enable" "peerClientCertAuth" ] (_: boolOpt)
            // {
              name = strOpt;
            };
          kubernetes = {
            masterAddress = strOpt;
            addons.dns.enable = boolOpt;
            apiserver =
              lib.genAttrs [ "disableAdmissionPlugins" "enableAdmissionPlugins" ] (_: listOpt)
              // lib.genAttrs [
                "advertiseAddress"
                "bindAddress"
                "serviceAccountIssuer"
                "serviceAccountKeyFile"
                "serviceAccountSigningKeyFile"
                "serviceClusterIpRange"
                "tlsCertFile"
                "tlsKeyFile"
                "tokenAuthFile"
              ] (_: strOpt)
              // {
                enable = boolOpt;
                etcd.servers = listOpt;
                authorizationMode = listOpt;
                extraOpts = mkOption {
                  type = types.separatedString " ";
                  default = "";
                };
              };
          };
        };
        nixpkgs.overlays = mkOption {
          type = types.listOf types.unspecified;
          default = [ ];
        };
      };
    };

  str =
    v:
    if v == true then
      "true"
    else if v == false then
      "false"
    else
      toString v;
  section = lib.mapAttrsToList (
    k: v:
    if lib.isList v then
      lib.concatMapStrings (x: "${k}=${str x}\n") v
    else if v == null then
      ""
    else
      "${k}=${str v}\n"
  );
  words = k: v: lib.optionalAttrs (v != [ ]) { ${k} = lib.concatStringsSep " " v; };
  unitSection =
    u:
    u.unitConfig
    // lib.optionalAttrs (u.description != "") { Description = u.description; }
    // words "After" u.after
    // words "Before" u.before
    // words "Requires" u.requires
    // words "Wants" u.wants
    // words "BindsTo" u.bindsTo
    // words "PartOf" u.partOf
    // words "Conflicts" u.conflicts
    // words "Documentation" u.documentation
    // words "X-Restart-Triggers" (u.restartTriggers or [ ]);
  install =
    u:
    lib.optionalString (u.wantedBy != [ ] || u.requiredBy != [ ]) (
      "\n[Install]\n"
      + lib.concatStrings (section (words "WantedBy" u.wantedBy // words "RequiredBy" u.requiredBy))
    );
  cat = xs: lib.concatStrings xs;
  serviceText =
    u:
    "[Unit]\n${cat (section (unitSection u))}\n[Service]\n${
      cat (lib.mapAttrsToList (k: v: "Environment=\"${k}=${v}\"\n") u.environment)
    }${
      lib.optionalString (!u.stopIfChanged) "X-StopIfChanged=false\n"
    }${cat (section u.serviceConfig)}${install u}";
  socketText =
    u:
    "[Unit]\n${cat (section (unitSection u))}\n[Socket]\n${cat (section u.socketConfig)}${
      cat (map (s: "ListenStream=${s}\n") u.listenStreams)
    }${install u}";
  timerText =
    u: "[Unit]\n${cat (section (unitSection u))}\n[Timer]\n${cat (section u.timerConfig)}${install u}";
  pathText =
    u: "[Unit]\n${cat (section (unitSection u))}\n[Path]\n${cat (section u.pathConfig)}${install u}";
in
modules:
let
  ev = lib.evalModules {
    modules = [ base ] ++ modules;
    specialArgs = {
      inherit pkgs;
      modulesPath = "/none";
    };
  };
  c = ev.config;
  units =
    lib.mapAttrs' (n: u: lib.nameValuePair "${n}.service" { text = serviceText u; }) c.systemd.services
    // lib.mapAttrs' (n: u: lib.nameValuePair "${n}.socket" { text = socketText u; }) c.systemd.sockets
    // lib.mapAttrs' (n: u: lib.nameValuePair "${n}.timer" { text = timerText u; }) c.systemd.timers
    // lib.mapAttrs' (n: u: lib.nameValuePair "${n}.path" { text = pathText u; }) c.systemd.paths;
in
{
  inherit (ev) options;
  # Read it first, as a real machine's `system.build.toplevel` does.
  failed = map (a: a.message) (lib.filter (a: !a.assertion) c.assertions);
  config = c // {
    # NixOS has assertions of its own about every service, which look at these.
    assertions = builtins.deepSeq (lib.mapAttrsToList (_: service: [
      service.after
      service.wants
    ]) c.systemd.services) c.assertions;
    systemd = c.systemd // {
      inherit units;
    };
  };
}
