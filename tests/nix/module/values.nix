# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What good configurations become, but for the apiserver's.
{
  lib,
  evaluate,
  instance,
  plugin,
  main,
  apiserver,
  complaints,
  module,
  control,
  ...
}:

let
  service = name: control.systemd.services."okms-k8s-encryption-provider@${name}";
  socket = name: control.systemd.sockets."okms-k8s-encryption-provider@${name}";
  serviceOf =
    machine: name: (evaluate [ machine ]).systemd.services."okms-k8s-encryption-provider@${name}";
  ofSystemd =
    version:
    { lib, pkgs, ... }:
    {
      systemd.package = lib.mkForce (pkgs.systemd // { inherit version; });
    };
  binding = config: name: config.systemd.services."okms-k8s-encryption-provider-socket-${name}";
  triggers = main: (binding (evaluate [ (plugin { inherit main; }) ]) "main").restartTriggers;

  rest = instance // {
    protocol = "rest";
    servers = [ "https://kms.example.org" ];
    okmsId = "734b9b45-8b1a-469c-b140-b10bd6540017";
  };

  # The README has the example without its heading comment.
  example = ../../../nixos/example.nix;
  exampleText = lib.concatLines (
    lib.filter (line: line != "" && !lib.hasPrefix "#" line) (
      lib.splitString "\n" (builtins.readFile example)
    )
  );
in
[
  {
    what = "no complaint";
    is = complaints [ main ];
    want = [ ];
  }
  {
    what = "the bus knows who may do what";
    is = map (package: package.pname) (evaluate [ main ]).services.dbus.packages;
    want = [ "okms-k8s-encryption-provider" ];
  }
  {
    what = "nothing is there until it is enabled";
    is = lib.attrNames (
      lib.filterAttrs (n: _: lib.hasPrefix "okms" n)
        (evaluate [
          { services.okms-k8s-encryption-provider.instances.main = instance; }
        ]).systemd.services
    );
    want = [ ];
  }
  {
    what = "the README's example";
    is = {
      inReadme = lib.hasInfix "```nix\n${exampleText}```" (builtins.readFile ../../../README.md);
      complaints = complaints [
        example
        apiserver
      ];
      flag =
        lib.hasPrefix "--encryption-provider-config="
          (evaluate [
            example
            apiserver
          ]).services.kubernetes.apiserver.extraOpts;
    };
    want = {
      inReadme = true;
      complaints = [ ];
      flag = true;
    };
  }
  {
    what = "variables of an instance";
    is = removeAttrs (service "new").environment [
      "LOCALE_ARCHIVE"
      "PATH"
      "TZDIR"
    ];
    want = {
      OKMS_ALLOW_GID = "kubernetes";
      OKMS_DEBUG = "true";
      OKMS_ID = "734b9b45-8b1a-469c-b140-b10bd6540017";
      OKMS_KEY_LABEL = "100%%";
      OKMS_PROTOCOL = "rest";
      OKMS_SERV_ADDR = "https://kms.example.org";
      OKMS_TIMEOUT = "10s";
    };
  }
  {
    what = "the program comes with the unit";
    is = map builtins.hasContext [
      (service "new").serviceConfig.ExecStart
      (lib.head (service "new").documentation)
      control.services.kubernetes.apiserver.extraOpts
    ];
    want = [
      true
      true
      true
    ];
  }
  {
    what = "credentials of an instance";
    is = (service "new").serviceConfig.LoadCredential;
    want = [
      "client-cert:/var/lib/secrets/client.pem"
      "ca:/var/lib/secrets/ca.pem"
    ];
  }
  {
    what = "an encrypted key";
    is = (service "new").serviceConfig.LoadCredentialEncrypted;
    want = [ "client-key:/var/lib/secrets/client.key.cred" ];
  }
  {
    what = "several hosts, and the key's id in a file";
    is =
      lib.filterAttrs (n: _: n == "OKMS_SERV_ADDR" || lib.hasPrefix "OKMS_KEY" n)
        (serviceOf (plugin {
          main = instance // {
            servers = [
              "a:5696"
              "b:5696"
            ];
            keyId = null;
            keyIdFile = "/var/lib/100%";
          };
        }) "main").environment;
    want = {
      OKMS_KEY_ID_FILE = "/var/lib/100%%";
      OKMS_SERV_ADDR = "a:5696,b:5696";
    };
  }
  {
    what = "systemd passes new files to a service that runs from 260 on";
    is =
      map
        (
          version:
          let
            inherit
              ((evaluate [
                main
                (ofSystemd version)
              ]).systemd.services."okms-k8s-encryption-provider@main"
              )
              serviceConfig
              ;
          in
          [
            serviceConfig.Type
            (serviceConfig.RefreshOnReload or null)
          ]
        )
        [
          "259.5"
          "260"
          "261~rc1"
        ];
    want = [
      [
        "notify"
        null
      ]
      [
        "notify-reload"
        "credentials"
      ]
      [
        "notify-reload"
        "credentials"
      ]
    ];
  }
  {
    what = "what looks for renewals is passed what the service is";
    is =
      map
        (
          name:
          let
            ofRenewal = control.systemd.services."okms-k8s-encryption-provider-renew@${name}";
            passed = {
              EnvironmentFile = null;
              Group = null;
              LoadCredential = null;
              LoadCredentialEncrypted = null;
              SetCredential = null;
              User = null;
            };
            of = config: builtins.intersectAttrs passed config.serviceConfig;
          in
          ofRenewal.environment == (service name).environment && of ofRenewal == of (service name)
        )
        [
          "new"
          "old"
        ];
    want = [
      true
      true
    ];
  }
  {
    what = "the files that are watched";
    is = map (name: control.systemd.paths."okms-k8s-encryption-provider-renew@${name}".pathConfig) [
      "new"
      "old"
    ];
    want = [
      {
        PathChanged = [
          "/var/lib/secrets"
          "/var/lib/secrets/client.pem"
          "/var/lib/secrets/client.key.cred"
          "/var/lib/secrets/ca.pem"
        ];
      }
      {
        PathChanged = [
          "/var/lib/secrets"
          "/var/lib/secrets/client.pem"
          "/var/lib/secrets/client.key"
        ];
      }
    ];
  }
  {
    what = "it is there with the service";
    is = (service "old").wants;
    want = [
      "okms-k8s-encryption-provider-alarm@old.timer"
      "okms-k8s-encryption-provider-renew@old.path"
      "okms-k8s-encryption-provider-renew@old.timer"
    ];
  }
  {
    what = "group of an instance";
    is = [
      (service "new").serviceConfig.Group
      (socket "new").socketConfig.SocketGroup
      (service "old").serviceConfig.Group
      (socket "old").socketConfig.SocketGroup
    ];
    want = [
      "kubernetes"
      "kubernetes"
      "okms-kms"
      "okms-kms"
    ];
  }
  {
    what = "a socket by default, and one of one's own";
    is = (socket "new").listenStreams ++ (socket "old").listenStreams;
    want = [
      "/run/okms-k8s-encryption-provider/new/kms.sock"
      "/run/okms.sock"
    ];
  }
  {
    what = "both are started with the machine";
    is = (service "new").wantedBy ++ (socket "new").wantedBy;
    want = [
      "multi-user.target"
      "sockets.target"
    ];
  }
  {
    what = "the service goes before the apiserver and after its socket";
    is = [
      (lib.elem "kube-apiserver.service" (service "new").before)
      (lib.elem "okms-k8s-encryption-provider@new.socket" (service "new").after)
      (service "new").requires
    ];
    want = [
      true
      true
      [ "okms-k8s-encryption-provider@new.socket" ]
    ];
  }
  {
    what = "a user of its own";
    is = [
      control.users.users.okms-kms.isSystemUser
      control.users.users.okms-kms.group
      (control.users.groups ? okms-kms)
    ];
    want = [
      true
      "okms-kms"
      true
    ];
  }
  {
    what = "an encrypted key beside the configuration is taken along";
    is = builtins.hasContext (
      lib.head
        (serviceOf (plugin {
          main = lib.recursiveUpdate instance {
            credentials = {
              clientKey = null;
              clientKeyEncrypted = ./values.nix;
            };
          };
        }) "main").serviceConfig.LoadCredentialEncrypted
    );
    want = true;
  }
  {
    what = "a file of variables with secrets";
    is =
      (serviceOf (plugin {
        main = instance // {
          environmentFile = "/var/lib/secrets/100%";
        };
      }) "main").serviceConfig.EnvironmentFile;
    want = "/var/lib/secrets/100%%";
  }
  {
    what = "the machine's proxy, for REST, unless the instance has its own";
    is =
      map
        (
          name:
          lib.filterAttrs (n: _: lib.hasSuffix "PROXY" n)
            (serviceOf {
              imports = [
                (plugin {
                  kmip = instance;
                  inherit rest;
                  own = rest // {
                    settings.HTTPS_PROXY = "http://own:3128";
                  };
                })
              ];
              networking.proxy.default = "http://us%40er@proxy:3128";
            } name).environment
        )
        [
          "kmip"
          "rest"
          "own"
        ];
    want = [
      { }
      {
        HTTPS_PROXY = "http://us%%40er@proxy:3128";
        NO_PROXY = "127.0.0.1,localhost";
      }
      {
        HTTPS_PROXY = "http://own:3128";
        NO_PROXY = "127.0.0.1,localhost";
      }
    ];
  }
  {
    what = "an instance that is off has no units";
    is =
      let
        inherit
          (evaluate [
            (plugin {
              main = instance // {
                enable = false;
              };
            })
          ])
          systemd
          ;
      in
      lib.filter (lib.hasInfix "main") (lib.attrNames systemd.services ++ lib.attrNames systemd.sockets);
    want = [ ];
  }
  {
    what = "it may be imported more than once";
    is = complaints [
      main
      module
      ../../../nixos/module.nix
      (import ../../../nixos/module.nix)
    ];
    want = [ ];
  }
  {
    what = "a changed path or group restarts the socket, and nothing else does";
    is = map (change: triggers (instance // change) == triggers instance) [
      { }
      { timeout = "5s"; }
      { group = "kmsusers"; }
      { socket = "/run/kms.sock"; }
    ];
    want = [
      true
      true
      false
      false
    ];
  }
  {
    what = "what restarts the socket";
    is = {
      inherit (socket "new") wants partOf;
      inherit (binding control "new") stopIfChanged;
      type = (binding control "new").serviceConfig.Type;
    };
    want = {
      wants = [ "okms-k8s-encryption-provider-socket-new.service" ];
      partOf = [ "okms-k8s-encryption-provider-socket-new.service" ];
      stopIfChanged = false;
      type = "oneshot";
    };
  }
]
