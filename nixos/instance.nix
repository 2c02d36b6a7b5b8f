# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The options of one instance.
{ lib }:

let
  inherit (lib) mkOption types;

  durations = import ./durations.nix { inherit lib; };
  variables = import ./variables.nix;
in
{ name, config, ... }:
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether there is this instance.";
    };

    protocol = mkOption {
      type = types.enum [
        "kmip"
        "rest"
      ];
      default = "kmip";
      description = "Protocol of the KMS: KMIP, or OVHcloud's REST API.";
    };

    servers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "eu-west-rbx.okms.ovh.net:5696" ];
      description = ''
        Where the KMS is: `host:port` for KMIP, `https://host` for REST. Of several hosts with the
        same keys the first is preferred, and the next one takes over when it does not answer.
      '';
    };

    keyId = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "70001308-5674-43fe-93dd-6270ecac0710";
      description = "Id of the key; either this, {option}`keyIdFile` or {option}`keyLabel`.";
    };

    keyIdFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/var/lib/okms/key-id";
      description = ''
        File with the id of the key. It is read again while the plugin runs: another id takes over when
        that key has proven itself. It must be readable by the plugin's user (`okms-kms`), for the id is no
        secret, and be outside of {file}`/home` and {file}`/root`.
      '';
    };

    keyLabel = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "etcd";
      description = ''
        Label of the key (KMIP Name, or name of the service key); either this,
        {option}`keyId` or {option}`keyIdFile`. It must fit exactly one active key.
      '';
    };

    okmsId = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "734b9b45-8b1a-469c-b140-b10bd6540017";
      description = "Id of the OKMS domain. REST needs it, KMIP has no use for it.";
    };

    credentials = {
      clientCertificate = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/var/lib/secrets/okms/client.pem";
        description = "PEM file of the access certificate.";
      };

      clientKey = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/var/lib/secrets/okms/client.key";
        description = ''
          PEM file of the certificate's key: a path outside of the Nix store, which everybody
          can read. systemd reads the file as root and shows it to this service only, so it may
          be root's alone.
        '';
      };

      clientKeyEncrypted = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/var/lib/secrets/okms/client.key.cred";
        description = ''
          In place of {option}`clientKey`: the key as
          `systemd-creds encrypt --name=client-key client.key client.key.cred` wrote it on this
          machine, which alone can read it.
        '';
      };

      ca = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/var/lib/secrets/okms/ca.pem";
        description = ''
          PEM file of the CA that signed the KMS's certificate, if that is no root of the
          system's. KMIP then trusts only it, REST the system's roots as well.
        '';
      };
    };

    timeout = mkOption {
      type = durations.type;
      default = "10s";
      example = "1m30s";
      description = "Bound of one operation.";
    };

    group = mkOption {
      type = types.str;
      default = "okms-kms";
      example = "kubernetes";
      description = ''
        Group whose members may connect to the socket, besides root. It is the service's own
        group, too.
      '';
    };

    socket = mkOption {
      type = types.strMatching "/.*";
      default = "/run/okms-k8s-encryption-provider/${name}/kms.sock";
      defaultText = lib.literalExpression ''"/run/okms-k8s-encryption-provider/''${name}/kms.sock"'';
      description = ''
        Path of the socket. A pod that shall reach it mounts its folder, not the socket.
      '';
    };

    statusPages = {
      enable = lib.mkEnableOption ''
        the pages over HTTP that tell a monitoring how this instance is, {file}`/metrics` for Prometheus
        among them'';

      listen = mkOption {
        type = types.str;
        default = "/run/okms-k8s-encryption-provider/${name}/status.sock";
        defaultText = lib.literalExpression ''"/run/okms-k8s-encryption-provider/''${name}/status.sock"'';
        example = "127.0.0.1:9440";
        description = ''
          Where they are: the path of a socket, or a port of a loopback address, which every user of the
          machine may ask. Prometheus knows no paths.
        '';
      };

      group = mkOption {
        type = types.str;
        default = config.group;
        defaultText = lib.literalExpression "group";
        example = "monitoring";
        description = ''
          Group whose members may look, besides root, where {option}`listen` is a path. One that is for
          this alone: members of the instance's {option}`group` may have the KMS decrypt.
        '';
      };
    };

    environmentFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/var/lib/secrets/okms/environment";
      description = ''
        File of further variables, one `NAME=value` in a line, for those with a secret, such as
        `HTTPS_PROXY=http://user:password@proxy:3128`. Only systemd reads it, as root. What it says
        wins over the other options.
      '';
    };

    settings = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.str
        ]
      );
      default = { };
      example = {
        OKMS_DEBUG = true;
      };
      description = ''
        Further variables of {manpage}`okms-k8s-encryption-provider(8)`:
        ${lib.concatMapStringsSep ", " (variable: "`${variable}`") variables.further}. No secrets:
        they would end in the Nix store; {option}`environmentFile` is for those. The proxy is that of
        {option}`networking.proxy` unless it is named here.
      '';
    };
  };
}
