# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.services.okms-k8s-encryption-provider;
  units = import ./units.nix { inherit lib; };

  name = "okms-k8s-encryption-provider";
  user = "okms-kms";

  instance =
    { name, ... }:
    {
      options = {
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
            Where the KMS is: `host:port` for KMIP, `https://host` for REST.
            This version takes exactly one.
          '';
        };

        keyId = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "70001308-5674-43fe-93dd-6270ecac0710";
          description = "Id of the key; either this or {option}`keyLabel`.";
        };

        keyLabel = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "etcd";
          description = ''
            Label of the key (KMIP Name, or name of the service key); either this or
            {option}`keyId`. It must fit exactly one active key.
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
          type = types.str;
          default = "10s";
          example = "1m30s";
          description = "Bound of one operation.";
        };

        group = mkOption {
          type = types.str;
          default = user;
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
            ${lib.concatMapStringsSep ", " (variable: "`${variable}`") furtherVariables}. No secrets:
            they would end in the Nix store.
          '';
        };
      };
    };

  # The variables that have an option of their own.
  ownOptions = {
    OKMS_PROTOCOL = "protocol";
    OKMS_SERV_ADDR = "servers";
    OKMS_KEY_ID = "keyId";
    OKMS_KEY_LABEL = "keyLabel";
    OKMS_ID = "okmsId";
    OKMS_CLIENT_CERT = "credentials.clientCertificate";
    OKMS_CLIENT_KEY = "credentials.clientKey";
    OKMS_CA_CERT = "credentials.ca";
    OKMS_TIMEOUT = "timeout";
    OKMS_SOCK = "socket";
    OKMS_SOCK_GROUP = "group";
    OKMS_ALLOW_GID = "group";
  };
  # OKMS_USER is for who starts it as root, which a unit never does.
  furtherVariables = [
    "OKMS_ALLOW_UID"
    "OKMS_CA_ONLY"
    "OKMS_DEBUG"
    "OKMS_LABEL_GRACE"
    "HTTPS_PROXY"
    "NO_PROXY"
  ];

  given = lib.filterAttrs (_: value: value != null);
  render = value: if lib.isBool value then lib.boolToString value else toString value;
  # systemd expands its specifiers in values and paths.
  literally = value: lib.replaceStrings [ "%" ] [ "%%" ] (toString value);

  environmentOf =
    i:
    lib.mapAttrs (_: value: literally (render value)) (
      given {
        OKMS_PROTOCOL = i.protocol;
        OKMS_SERV_ADDR = lib.concatStringsSep "," i.servers;
        OKMS_KEY_ID = i.keyId;
        OKMS_KEY_LABEL = i.keyLabel;
        OKMS_ID = i.okmsId;
        OKMS_TIMEOUT = i.timeout;
        OKMS_ALLOW_GID = i.group;
      }
      // i.settings
    );

  credential = label: path: lib.optional (path != null) "${label}:${literally path}";
  # Written as a Nix path it goes to the store, which is good for what is public.
  public = path: if path == null then null else "${path}";

  # The templates of ../systemd, for one instance.
  templatesOf =
    instanceName:
    let
      read =
        suffix:
        units.read (../systemd + "/${name}.${suffix}.in") {
          OKMS_UNIT = unitOf instanceName;
          OKMS_FOLDER = "${name}/${instanceName}";
          OKMS_WHICH = " (${instanceName})";
          OKMS_PROGRAM = lib.getExe cfg.package;
          OKMS_DOCUMENTATION = "${cfg.package}/share/doc/${name}";
        };
    in
    lib.genAttrs [ "service" "socket" ] read;

  unitOf = instanceName: "${name}@${instanceName}";
  isName = instanceName: builtins.match "[A-Za-z0-9_.-]+" instanceName != null;
  # NixOS's own complaint about the units of a bad name would come first, and say less.
  unitsOf =
    make:
    lib.mapAttrs' (n: i: lib.nameValuePair (unitOf n) (make n i)) (
      lib.filterAttrs (n: _: isName n) cfg.instances
    );

  # What the options of NixOS take from [Unit] and [Install], so that others can add to it.
  common = sections: {
    description = lib.head sections.Unit.Description;
    documentation = units.words sections.Unit "Documentation";
    requires = units.words sections.Unit "Requires";
    after = units.words sections.Unit "After";
    before = units.words sections.Unit "Before";
    wantedBy = units.words sections.Install "WantedBy";
    unitConfig = units.toConfig (
      removeAttrs sections.Unit [
        "Description"
        "Documentation"
        "Requires"
        "After"
        "Before"
      ]
    );
  };

  serviceOf =
    instanceName: i:
    let
      sections = (templatesOf instanceName).service;
    in
    common sections
    // {
      # A new configuration is a restart in one step: calls wait in the socket meanwhile.
      stopIfChanged = false;
      environment = environmentOf i;
      serviceConfig =
        units.toConfig (
          removeAttrs sections.Service [
            "Environment"
            "EnvironmentFile"
          ]
        )
        // {
          Group = i.group;
          LoadCredential =
            credential "client-cert" (public i.credentials.clientCertificate)
            ++ credential "client-key" i.credentials.clientKey
            ++ credential "ca" (public i.credentials.ca);
        }
        // lib.optionalAttrs (i.credentials.clientKeyEncrypted != null) {
          LoadCredentialEncrypted = credential "client-key" i.credentials.clientKeyEncrypted;
        };
    };

  socketOf =
    instanceName: i:
    let
      sections = (templatesOf instanceName).socket;
    in
    common sections
    // {
      listenStreams = [ (literally i.socket) ];
      socketConfig = units.toConfig (removeAttrs sections.Socket [ "ListenStream" ]) // {
        SocketGroup = i.group;
      };
    };

  instanceAssertions =
    instanceName: i:
    let
      at = "services.${name}.instances.${instanceName}";
      inStore =
        path: path != null && (lib.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path));
      sharing = lib.attrNames (
        lib.filterAttrs (
          other: j: other != instanceName && canonical j.socket == canonical i.socket
        ) cfg.instances
      );
      canonical = lib.replaceStrings [ "/var/run/" ] [ "/run/" ];
      unknown = lib.filter (variable: !lib.elem variable furtherVariables && !ownOptions ? ${variable}) (
        lib.attrNames i.settings
      );
      reserved = lib.filter (variable: ownOptions ? ${variable}) (lib.attrNames i.settings);
    in
    [
      {
        assertion = isName instanceName;
        message = "${at}: the name becomes part of a unit's name and of a path: use letters, digits, `_`, `.` and `-` only.";
      }
      {
        assertion = lib.length i.servers == 1;
        message = "${at}.servers: give exactly one server, for example [ \"eu-west-rbx.okms.ovh.net:5696\" ].";
      }
      {
        assertion = i.protocol == "rest" -> lib.all (lib.hasPrefix "https://") i.servers;
        message = "${at}.servers: REST needs a URL, for example [ \"https://eu-west-rbx.okms.ovh.net\" ].";
      }
      {
        assertion = i.protocol == "kmip" -> !lib.any (lib.hasInfix "://") i.servers;
        message = "${at}.servers: KMIP needs host:port and no URL, for example [ \"eu-west-rbx.okms.ovh.net:5696\" ].";
      }
      {
        assertion = i.keyId != null || i.keyLabel != null;
        message = "${at}: no key. Set keyId, or keyLabel.";
      }
      {
        assertion = i.keyId == null || i.keyLabel == null;
        message = "${at}: keyId and keyLabel are both set. Use one of them.";
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
        assertion = unknown == [ ];
        message = "${at}.settings: no such variable: ${lib.concatStringsSep ", " unknown}. There are ${lib.concatStringsSep ", " furtherVariables}.";
      }
      {
        assertion = reserved == [ ];
        message = "${at}.settings: ${
          lib.concatMapStringsSep ", " (variable: "for ${variable} use ${ownOptions.${variable}}") reserved
        }.";
      }
      {
        assertion = sharing == [ ];
        message = "${at}.socket: ${i.socket} is the socket of ${lib.concatStringsSep ", " sharing} too. Each instance needs its own.";
      }
    ];
in
{
  imports = [ ./kubernetes.nix ];

  options.services.okms-k8s-encryption-provider = {
    enable = lib.mkEnableOption "the Kubernetes KMS plugin for OVHcloud KMS and KMIP servers";

    package = lib.mkPackageOption pkgs "okms-k8s-encryption-provider" { };

    instances = mkOption {
      type = types.attrsOf (types.submodule instance);
      default = { };
      description = ''
        The plugin's instances, one for each key. Instance `NAME` has the units
        {file}`okms-k8s-encryption-provider@NAME.socket` and {file}`.service`.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.concatLists (lib.mapAttrsToList instanceAssertions cfg.instances);

    systemd.services = unitsOf serviceOf;
    systemd.sockets = unitsOf socketOf;

    users.users.${user} = {
      isSystemUser = true;
      group = user;
      description = "Kubernetes KMS plugin";
    };
    users.groups.${user} = { };

    # The man page, the completions, and the program to check a configuration with.
    environment.systemPackages = [ cfg.package ];
  };
}
