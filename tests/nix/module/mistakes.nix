# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Each mistake in an instance is named, and what is none is not.
{
  lib,
  at,
  complaints,
  instance,
  plugin,
  ...
}:

let
  # Mistakes in one instance, all on one machine.
  rest = {
    protocol = "rest";
    servers = [ "https://kms.example.org" ];
    okmsId = "734b9b45-8b1a-469c-b140-b10bd6540017";
  };
  mistakes = {
    setting-of-the-pages = {
      change.settings.OKMS_STATUS_LISTEN = "127.0.0.1:9440";
      words = ".settings: for OKMS_STATUS_LISTEN use statusPages.listen";
    };
    no-server = {
      change.servers = [ ];
      words = ".servers: give at least one server";
    };
    one-of-two-servers = {
      change.servers = [
        "a:5696"
        "b"
      ];
      words = ".servers: KMIP needs host:port and no URL";
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
      words = ": no key. Set keyId, keyIdFile or keyLabel.";
    };
    two-keys = {
      change.keyLabel = "etcd";
      words = ": keyId and keyLabel are set. Use one of them.";
    };
    key-and-file = {
      change.keyIdFile = "/var/lib/okms/key-id";
      words = ": keyId and keyIdFile are set. Use one of them.";
    };
    label-and-file = {
      change = {
        keyId = null;
        keyLabel = "etcd";
        keyIdFile = "/var/lib/okms/key-id";
      };
      words = ": keyIdFile and keyLabel are set. Use one of them.";
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
      change.credentials.clientKey = ./mistakes.nix;
      words = ".credentials.clientKey: this path is in the Nix store, or would be copied there";
    };
    server-without-port = {
      change.servers = [ "kms.example.org" ];
      words = ".servers: KMIP needs host:port and no URL";
    };
    server-with-too-high-a-port = {
      change.servers = [ "[2001:db8::1]:65536" ];
      words = ".servers: KMIP needs host:port and no URL";
    };
    url-without-host = {
      change = rest // {
        servers = [ "https:///v1" ];
      };
      words = ".servers: REST needs a URL";
    };
    environment-in-the-store = {
      change.environmentFile = "${builtins.storeDir}/environment";
      words = ".environmentFile: this path is in the Nix store";
    };
    environment-as-nix-path = {
      change.environmentFile = ./mistakes.nix;
      words = ".environmentFile: this path is in the Nix store, or would be copied there";
    };
    no-time = {
      change.timeout = "0s";
      words = ".timeout: 0s is out of range";
    };
    too-much-time = {
      change.timeout = "23h59m60.5s";
      words = ".timeout: 23h59m60.5s is out of range";
    };
    unknown-group = {
      change.group = "kubernetse";
      words = ".group: there is no group kubernetse on this machine";
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
    too-long-a-socket = {
      change.socket = "/run/${lib.concatStrings (lib.replicate 103 "s")}";
      words = ".socket: /run/";
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
  ofPages = lib.mapAttrs (_: m: {
    change.statusPages = {
      enable = true;
    }
    // m.pages;
    words = ".statusPages${m.words}";
  }) (refused // misplaced);
  refused =
    lib.mapAttrs
      (_: listen: {
        pages = { inherit listen; };
        words = ".listen: ${listen} is neither a path nor a port of a loopback address";
      })
      {
        pages-by-name = "localhost:9440";
        pages-everywhere = "0.0.0.0:9440";
        pages-elsewhere = "[::2]:9440";
        pages-at-no-address = "127.0.0.256:9440";
        pages-without-port = "127.0.0.1";
        pages-at-port-zero = "127.0.0.1:0";
        pages-at-too-high-a-port = "[::1]:65536";
        pages-at-a-relative-path = "status.sock";
        pages-as-the-flag-has-them = "unix:/run/status.sock";
      };
  misplaced = {
    pages-at-too-long-a-path = {
      pages.listen = "/run/${lib.concatStrings (lib.replicate 103 "p")}";
      words = ".listen: /run/";
    };
    pages-for-nobody = {
      pages.group = "monitorign";
      words = ".group: there is no group monitorign on this machine";
    };
    pages-one = {
      pages.listen = "127.0.0.1:9440";
      words = ".listen: 127.0.0.1:9440 is taken by pages-two. Each";
    };
    pages-two = {
      pages.listen = "127.0.0.1:9440";
      words = ".listen: 127.0.0.1:9440 is taken by pages-one. Each";
    };
    pages-at-the-socket = {
      pages.listen = "/var/run/okms-k8s-encryption-provider/good/kms.sock";
      words = ".listen: /var/run/okms-k8s-encryption-provider/good/kms.sock is taken by good. Each";
    };
    pages-at-its-own-socket = {
      pages.listen = "/run/okms-k8s-encryption-provider/pages-at-its-own-socket/kms.sock";
      words = ".listen: /run/okms-k8s-encryption-provider/pages-at-its-own-socket/kms.sock is taken by pages-at-its-own-socket. Each";
    };
  };
  said = complaints [
    { users.groups.kmsusers = { }; }
    (plugin (
      {
        good = instance;
        as-long-a-socket = instance // {
          socket = "/run/${lib.concatStrings (lib.replicate 102 "s")}";
        };
        at-an-address = instance // {
          servers = [ "[fe80::1%eth0]:5696" ];
          timeout = "24h";
          group = "kmsusers";
        };
        of-several-hosts = instance // {
          servers = [
            "a:5696"
            "b:5696"
          ];
          keyId = null;
          keyIdFile = "/var/lib/okms/key-id";
        };
        off = instance // {
          enable = false;
          servers = [ ];
          statusPages = {
            enable = true;
            listen = "[::1]:9440";
          };
        };
        with-pages = instance // {
          statusPages = {
            enable = true;
            listen = "[::1]:9440";
          };
        };
        with-pages-at-a-path = instance // {
          statusPages = {
            enable = true;
            listen = "/run/${lib.concatStrings (lib.replicate 102 "p")}";
            group = "kmsusers";
          };
        };
        without-pages = instance // {
          statusPages = {
            listen = "nowhere";
            group = "nobody";
          };
        };
      }
      // lib.mapAttrs (_: m: lib.recursiveUpdate instance m.change) (mistakes // ofPages)
    ))
  ];
in
# One complaint for each, and none about the good one.
lib.concatLists (
  lib.mapAttrsToList (
    name: m:
    let
      expected = "${at}.instances.${name}${m.words}";
    in
    lib.optional (
      lib.length (lib.filter (lib.hasPrefix expected) said) != 1
    ) "not said once: \"${expected}\""
  ) (mistakes // ofPages)
)
++ lib.optional (
  lib.length said != lib.length (lib.attrNames (mistakes // ofPages))
) "other complaints than those expected: ${lib.concatStringsSep " " said}"
