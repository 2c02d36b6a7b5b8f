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

  # Mistakes in one instance, all on one machine.
  rest = {
    protocol = "rest";
    servers = [ "https://kms.example.org" ];
    okmsId = "734b9b45-8b1a-469c-b140-b10bd6540017";
  };
  mistakes = {
    no-server = {
      change.servers = [ ];
      words = ".servers: give exactly one server";
    };
    two-servers = {
      change.servers = [
        "a:5696"
        "b:5696"
      ];
      words = ".servers: give exactly one server";
    };
    url-for-kmip = {
      change = { inherit (rest) servers; };
      words = ".servers: KMIP needs host:port and no URL";
    };
    no-url-for-rest = {
      change = rest // {
        inherit (instance) servers;
      };
      words = ".servers: REST needs a URL";
    };
    no-key = {
      change.keyId = null;
      words = ": no key. Set keyId, or keyLabel.";
    };
    two-keys = {
      change.keyLabel = "etcd";
      words = ": keyId and keyLabel are both set";
    };
    rest-without-domain = {
      change = rest // {
        okmsId = null;
      };
      words = ".okmsId: REST needs the id of the OKMS domain";
    };
    no-certificate = {
      change.credentials.clientCertificate = null;
      words = ".credentials.clientCertificate: no access certificate";
    };
    no-client-key = {
      change.credentials.clientKey = null;
      words = ".credentials: set one of clientKey and clientKeyEncrypted";
    };
    two-client-keys = {
      change.credentials.clientKeyEncrypted = "/var/lib/secrets/client.key.cred";
      words = ".credentials: set one of clientKey and clientKeyEncrypted";
    };
    client-key-in-the-store = {
      change.credentials.clientKey = "${builtins.storeDir}/client.key";
      words = ".credentials.clientKey: this path is in the Nix store";
    };
    client-key-as-nix-path = {
      change.credentials.clientKey = ./module.nix;
      words = ".credentials.clientKey: this path is in the Nix store, or would be copied there";
    };
    unknown-setting = {
      change.settings.OKMS_VERBOSE = true;
      words = ".settings: no such variable: OKMS_VERBOSE";
    };
    setting-that-has-an-option = {
      change.settings.OKMS_KEY_LABEL = "etcd";
      words = ".settings: for OKMS_KEY_LABEL use keyLabel";
    };
    "no/part/of/a/path" = {
      change = { };
      words = ": the name becomes part of a unit's name";
    };
    socket-one = {
      change.socket = "/run/kms.sock";
      words = ".socket: /run/kms.sock is the socket of socket-two too";
    };
    socket-two = {
      change.socket = "/var/run/kms.sock";
      words = ".socket: /var/run/kms.sock is the socket of socket-one too";
    };
  };
  said = complaints [
    (plugin (
      { good = instance; } // lib.mapAttrs (_: m: lib.recursiveUpdate instance m.change) mistakes
    ))
  ];
  # One complaint for each, and none about the good one.
  refusals =
    lib.concatLists (
      lib.mapAttrsToList (
        name: m:
        let
          expected = "${at}.instances.${name}${m.words}";
        in
        lib.optional (
          lib.length (lib.filter (lib.hasPrefix expected) said) != 1
        ) "not said once: \"${expected}\""
      ) mistakes
    )
    ++ lib.optional (
      lib.length said != lib.length (lib.attrNames mistakes)
    ) "other complaints than those expected: ${lib.concatStringsSep " " said}";

  # Mistakes about the apiserver, each on a machine of its own.
  two = plugin {
    one = instance;
    two = instance;
  };
  kubernetesMistakes = [
    {
      modules = [
        main
        (kubernetes { })
      ];
      words = ".enable: there is no services.kubernetes.apiserver";
    }
    {
      modules = [
        two
        (kubernetes { })
        apiserver
      ];
      words = ".providers: name the instances in their order; the first encrypts. There are: one, two.";
    }
    {
      modules = [
        main
        (kubernetes { providers = [ { instance = "mian"; } ]; })
        apiserver
      ];
      words = ".providers: no such instance: mian";
    }
    {
      modules = [
        two
        (kubernetes {
          providers = [
            {
              instance = "one";
              name = "okms";
            }
            {
              instance = "two";
              name = "okms";
            }
          ];
        })
        apiserver
      ];
      words = ".providers: two have the same name";
    }
    {
      modules = [
        main
        (kubernetes {
          providers = [
            {
              instance = "main";
              name = "a:b";
            }
          ];
        })
        apiserver
      ];
      words = ".providers: a name is not empty and has no colon";
    }
  ];
  kubernetesRefusals = lib.concatMap (
    m:
    let
      heard = complaints m.modules;
    in
    lib.optional (
      !(lib.length heard == 1 && lib.hasPrefix "${at}.kubernetes${m.words}" (lib.head heard))
    ) "expected \"${m.words}\", heard: ${toString heard}"
  ) kubernetesMistakes;

  # What a good one becomes.
  control = evaluate [
    (plugin {
      new = instance // {
        keyId = null;
        keyLabel = "100%";
        protocol = "rest";
        servers = [ "https://kms.example.org" ];
        okmsId = "734b9b45-8b1a-469c-b140-b10bd6540017";
        group = "kubernetes";
        settings.OKMS_DEBUG = true;
        credentials = {
          clientCertificate = "/var/lib/secrets/client.pem";
          clientKeyEncrypted = "/var/lib/secrets/client.key.cred";
          ca = "/var/lib/secrets/ca.pem";
        };
      };
      old = instance // {
        socket = "/run/okms.sock";
      };
    })
    (kubernetes {
      providers = [
        { instance = "new"; }
        {
          instance = "old";
          name = "okms-encryption-provider";
          timeout = "5s";
        }
      ];
    })
    apiserver
  ];
  service = name: control.systemd.services."okms-k8s-encryption-provider@${name}";
  socket = name: control.systemd.sockets."okms-k8s-encryption-provider@${name}";
  encryption = control.services.okms-k8s-encryption-provider.kubernetes.configurationFile;

  expected = [
    {
      what = "no complaint";
      is = complaints [ main ];
      want = [ ];
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
        inReadme = lib.hasInfix "```nix\n${exampleText}```" (builtins.readFile ../../README.md);
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
      what = "the apiserver's flag";
      is = control.services.kubernetes.apiserver.extraOpts;
      want = "--encryption-provider-config=${encryption}";
    }
    {
      what = "the first provider encrypts, all decrypt, and identity is the last";
      is = control.services.okms-k8s-encryption-provider.kubernetes.configuration;
      want = {
        apiVersion = "apiserver.config.k8s.io/v1";
        kind = "EncryptionConfiguration";
        resources = [
          {
            resources = [ "secrets" ];
            providers = [
              {
                kms = {
                  apiVersion = "v2";
                  name = "okms-new";
                  endpoint = "unix:///run/okms-k8s-encryption-provider/new/kms.sock";
                  timeout = "3s";
                };
              }
              {
                kms = {
                  apiVersion = "v2";
                  name = "okms-encryption-provider";
                  endpoint = "unix:///run/okms.sock";
                  timeout = "5s";
                };
              }
              { identity = { }; }
            ];
          }
        ];
      };
    }
    {
      what = "no identity when nothing unencrypted is to be read";
      is = map lib.attrNames (
        lib.concatMap (r: r.providers)
          (evaluate [
            main
            (kubernetes { readUnencrypted = false; })
            apiserver
          ]).services.okms-k8s-encryption-provider.kubernetes.configuration.resources
      );
      want = [ [ "kms" ] ];
    }
    {
      what = "the apiserver's unit";
      is = {
        groups = control.systemd.services.kube-apiserver.serviceConfig.SupplementaryGroups;
        sockets = lib.filter (lib.hasPrefix "okms") control.systemd.services.kube-apiserver.wants;
        order = lib.filter (lib.hasPrefix "okms") control.systemd.services.kube-apiserver.after;
      };
      want = {
        groups = [
          "kubernetes"
          "okms-kms"
        ];
        sockets = [
          "okms-k8s-encryption-provider@new.socket"
          "okms-k8s-encryption-provider@old.socket"
        ];
        order = [
          "okms-k8s-encryption-provider@new.socket"
          "okms-k8s-encryption-provider@old.socket"
        ];
      };
    }
  ];

  # The README has the example without its heading comment.
  example = ../../nixos/example.nix;
  exampleText = lib.concatLines (
    lib.filter (line: line != "" && !lib.hasPrefix "#" line) (
      lib.splitString "\n" (builtins.readFile example)
    )
  );

  differences = lib.concatMap (
    {
      what,
      is,
      want,
    }:
    lib.optional (is != want) "${what}: is ${builtins.toJSON is}, should be ${builtins.toJSON want}"
  ) expected;

  failures = refusals ++ kubernetesRefusals ++ differences;
in
if failures == [ ] then
  runCommand "okms-k8s-encryption-provider-module" { } "touch $out"
else
  throw "nixos/module.nix: ${lib.concatStringsSep "; " failures}"
