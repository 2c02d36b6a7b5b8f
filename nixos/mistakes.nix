# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What is wrong with an instance, as assertions.
{
  lib,
  # Those that are enabled, and the machine's groups.
  instances,
  groups,
}:

let
  durations = import ./durations.nix { inherit lib; };
  variables = import ./variables.nix;
in
instanceName: i:
let
  at = "services.okms-k8s-encryption-provider.instances.${instanceName}";
  inStore =
    path: path != null && (lib.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path));
  sharing = lib.attrNames (
    lib.filterAttrs (
      other: j: other != instanceName && canonical j.socket == canonical i.socket
    ) instances
  );
  pages = i.statusPages;
  # Those whose place it is already.
  holding = lib.attrNames (
    lib.filterAttrs (
      other: j:
      lib.elem (canonical pages.listen) (
        map canonical (
          [ j.socket ] ++ lib.optional (other != instanceName && j.statusPages.enable) j.statusPages.listen
        )
      )
    ) instances
  );
  canonical = lib.replaceStrings [ "/var/run/" ] [ "/run/" ];
  unknown = lib.filter (
    variable: !lib.elem variable variables.further && !variables.own ? ${variable}
  ) (lib.attrNames i.settings);
  reserved = lib.filter (variable: variables.own ? ${variable}) (lib.attrNames i.settings);
  portOf = server: builtins.match "(\\[[^/@[:space:]]+]|[^:/@[:space:]]+):([1-9][0-9]{0,4})" server;
  isHostPort = server: portOf server != null && builtins.fromJSON (lib.last (portOf server)) <= 65535;
  byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  isLoopback =
    place:
    isHostPort place && builtins.match "127([.]${byte}){3}|\\[::1]" (lib.head (portOf place)) != null;
  isUrl = server: builtins.match "https://[^/?#@[:space:]]+(/[^?#[:space:]]*)?" server != null;
  keys = lib.filter (option: i.${option} != null) [
    "keyId"
    "keyIdFile"
    "keyLabel"
  ];
  timeout = durations.seconds i.timeout;
in
[
  {
    assertion = builtins.match "[A-Za-z0-9_.-]+" instanceName != null;
    message = "${at}: the name becomes part of a unit's name and of a path: use letters, digits, `_`, `.` and `-` only.";
  }
  {
    assertion = i.servers != [ ];
    message = "${at}.servers: give at least one server, for example [ \"eu-west-rbx.okms.ovh.net:5696\" ].";
  }
  {
    assertion = i.protocol == "rest" -> lib.all isUrl i.servers;
    message = "${at}.servers: REST needs a URL, for example [ \"https://eu-west-rbx.okms.ovh.net\" ].";
  }
  {
    assertion = i.protocol == "kmip" -> lib.all isHostPort i.servers;
    message = "${at}.servers: KMIP needs host:port and no URL, for example [ \"eu-west-rbx.okms.ovh.net:5696\" ].";
  }
  {
    assertion = keys != [ ];
    message = "${at}: no key. Set keyId, keyIdFile or keyLabel.";
  }
  {
    assertion = lib.length keys <= 1;
    message = "${at}: ${lib.concatStringsSep " and " keys} are set. Use one of them.";
  }
  {
    assertion = i.protocol == "rest" -> i.okmsId != null;
    message = "${at}.okmsId: REST needs the id of the OKMS domain.";
  }
  {
    assertion = i.credentials.clientCertificate != null;
    message = "${at}.credentials.clientCertificate: no access certificate. Give the path of its PEM file.";
  }
  {
    assertion = (i.credentials.clientKey != null) != (i.credentials.clientKeyEncrypted != null);
    message = "${at}.credentials: set one of clientKey and clientKeyEncrypted, the file of the access certificate's key.";
  }
  {
    assertion = !inStore i.credentials.clientKey;
    message = "${at}.credentials.clientKey: this path is in the Nix store, or would be copied there, for everybody to read. Put the key elsewhere and give its path as a string, for example \"/var/lib/secrets/okms/client.key\".";
  }
  {
    assertion = !inStore i.environmentFile;
    message = "${at}.environmentFile: this path is in the Nix store, or would be copied there, for everybody to read. Put the file elsewhere and give its path as a string, for example \"/var/lib/secrets/okms/environment\".";
  }
  {
    assertion = 0.001 <= timeout && timeout <= 86400;
    message = "${at}.timeout: ${i.timeout} is out of range. Give between 1ms and 24h.";
  }
  {
    assertion = groups ? ${i.group};
    message = "${at}.group: there is no group ${i.group} on this machine. Name one of users.groups, or add it there.";
  }
  {
    assertion = unknown == [ ];
    message = "${at}.settings: no such variable: ${lib.concatStringsSep ", " unknown}. There are ${lib.concatStringsSep ", " variables.further}.";
  }
  {
    assertion = reserved == [ ];
    message = "${at}.settings: ${
      lib.concatMapStringsSep ", " (variable: "for ${variable} use ${variables.own.${variable}}") reserved
    }.";
  }
  {
    assertion = lib.stringLength i.socket < 108;
    message = "${at}.socket: ${i.socket} is longer than the 107 bytes that the path of a socket may have.";
  }
  {
    assertion = sharing == [ ];
    message = "${at}.socket: ${i.socket} is the socket of ${lib.concatStringsSep ", " sharing} too. Each instance needs its own.";
  }
]
++ lib.optionals pages.enable [
  {
    assertion = lib.hasPrefix "/" pages.listen || isLoopback pages.listen;
    message = "${at}.statusPages.listen: ${pages.listen} is neither a path nor a port of a loopback address, for example 127.0.0.1:9440. There is no TLS and no password.";
  }
  {
    assertion = lib.hasPrefix "/" pages.listen -> lib.stringLength pages.listen < 108;
    message = "${at}.statusPages.listen: ${pages.listen} is longer than the 107 bytes that the path of a socket may have.";
  }
  {
    assertion = holding == [ ];
    message = "${at}.statusPages.listen: ${pages.listen} is taken by ${lib.concatStringsSep ", " holding}. Each instance's pages need a place of their own.";
  }
  {
    assertion = groups ? ${pages.group};
    message = "${at}.statusPages.group: there is no group ${pages.group} on this machine. Name one of users.groups, or add it there.";
  }
]
