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

  instances = lib.filterAttrs (_: i: i.enable) cfg.instances;
  mistakes = import ./mistakes.nix {
    inherit lib instances;
    inherit (config.users) groups;
  };

  given = lib.filterAttrs (_: value: value != null);
  render = value: if lib.isBool value then lib.boolToString value else toString value;
  # systemd expands its specifiers in values and paths.
  literally = value: lib.replaceStrings [ "%" ] [ "%%" ] (toString value);

  # As the machine's other programs have it.
  proxy = given {
    HTTPS_PROXY = config.networking.proxy.envVars.https_proxy or null;
    NO_PROXY = config.networking.proxy.envVars.no_proxy or null;
  };

  environmentOf =
    i:
    lib.mapAttrs (_: value: literally (render value)) (
      lib.optionalAttrs (i.protocol == "rest") proxy
      // given {
        OKMS_PROTOCOL = i.protocol;
        OKMS_SERV_ADDR = lib.concatStringsSep "," i.servers;
        OKMS_KEY_ID = i.keyId;
        OKMS_KEY_LABEL = i.keyLabel;
        OKMS_KEY_ID_FILE = public i.keyIdFile;
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
        file:
        units.read (../systemd + "/${file}.in") {
          OKMS_UNIT = unitOf instanceName;
          OKMS_ALARM = alarmOf instanceName;
          OKMS_RENEW = renewOf instanceName;
          # Below: two keys of one line are none of a value's.
          OKMS_RELOAD = "";
          OKMS_FOLDER = "${name}/${instanceName}";
          OKMS_WHICH = " (${instanceName})";
          OKMS_PROGRAM = lib.getExe cfg.package;
          OKMS_RENEW_PROGRAM = "${cfg.package}/libexec/${name}/renew";
          OKMS_DOCUMENTATION = "${cfg.package}/share/doc/${name}";
        };
    in
    {
      service = read "${name}.service";
      socket = read "${name}.socket";
      pages = read "${name}-status.socket";
      alarmService = read "${name}-alarm.service";
      alarmTimer = read "${name}-alarm.timer";
      renewPath = read "${name}-renew.path";
      renewTimer = read "${name}-renew.timer";
      renewService = read "${name}-renew.service";
    };

  unitOf = instanceName: "${name}@${instanceName}";
  pagesOf = instanceName: "${name}-status@${instanceName}";
  alarmOf = instanceName: "${name}-alarm@${instanceName}";
  renewOf = instanceName: "${name}-renew@${instanceName}";
  isName = instanceName: builtins.match "[A-Za-z0-9_.-]+" instanceName != null;
  # NixOS's own complaint about the units of a bad name would come first, and say less.
  unitsWhere =
    isWanted: nameOf: make:
    lib.mapAttrs' (n: i: lib.nameValuePair (nameOf n) (make n i)) (
      lib.filterAttrs (n: i: isName n && isWanted i) instances
    );
  unitsOf = unitsWhere (_: true);
  pagesUnitsOf = unitsWhere (i: i.statusPages.enable);
  # Of a socket's unit.
  bindingOf = lib.replaceStrings [ "@" ] [ "-socket-" ];

  # What the options of NixOS take from [Unit] and [Install], so that others can add to it.
  common = sections: {
    description = lib.head sections.Unit.Description;
    documentation = units.words sections.Unit "Documentation";
    requires = units.words sections.Unit "Requires";
    wants = units.words sections.Unit "Wants";
    after = units.words sections.Unit "After";
    before = units.words sections.Unit "Before";
    wantedBy = units.words (sections.Install or { }) "WantedBy";
    unitConfig = units.toConfig (
      removeAttrs sections.Unit [
        "Description"
        "Documentation"
        "Requires"
        "Wants"
        "After"
        "Before"
      ]
    );
  };

  # A service's with the files and variables of an instance.
  passing =
    i: sections:
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
      LoadCredentialEncrypted = credential "client-key" (public i.credentials.clientKeyEncrypted);
    }
    // lib.optionalAttrs (i.environmentFile != null) {
      EnvironmentFile = literally i.environmentFile;
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
      # systemd opens the pages' socket before the service or not at all. So this restarts it when there
      # is one from now on, or none any more; and when it changes, with it.
      partOf = lib.optional i.statusPages.enable "${bindingOf (pagesOf instanceName)}.service";
      environment = environmentOf i;
      serviceConfig =
        passing i sections
        // lib.optionalAttrs (lib.versionAtLeast config.systemd.package.version "260") {
          Type = "notify-reload";
          RefreshOnReload = "credentials";
        };
    };

  renewServiceOf =
    instanceName: i:
    let
      sections = (templatesOf instanceName).renewService;
    in
    common sections
    // {
      environment = environmentOf i;
      serviceConfig = passing i sections;
    };

  # Files that can change, and their folders, in which links to them do.
  watched =
    i:
    let
      paths = lib.filter (path: path != null && !inStore path) [
        i.credentials.clientCertificate
        i.credentials.clientKey
        i.credentials.clientKeyEncrypted
        i.credentials.ca
      ];
      inStore = path: lib.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path);
    in
    lib.unique (map dirOf paths ++ paths);

  renewPathOf =
    instanceName: i:
    let
      sections = (templatesOf instanceName).renewPath;
    in
    common sections
    // {
      enable = watched i != [ ];
      pathConfig = units.toConfig sections.Path // {
        PathChanged = map literally (watched i);
      };
    };

  alarmServiceOf =
    instanceName: _:
    let
      sections = (templatesOf instanceName).alarmService;
    in
    common sections // { serviceConfig = units.toConfig sections.Service; };

  timerOf =
    which: instanceName: _:
    let
      sections = (templatesOf instanceName).${which};
    in
    common sections // { timerConfig = units.toConfig sections.Timer; };

  listening =
    sections: unit: place: group:
    common sections
    // {
      listenStreams = [ (literally place) ];
      socketConfig = units.toConfig (removeAttrs sections.Socket [ "ListenStream" ]) // {
        SocketGroup = group;
      };
      wants = [ "${bindingOf unit}.service" ];
      partOf = [ "${bindingOf unit}.service" ];
    };

  socketOf =
    instanceName: i: listening (templatesOf instanceName).socket (unitOf instanceName) i.socket i.group;

  pagesSocketOf =
    instanceName: i:
    listening (templatesOf instanceName).pages (pagesOf instanceName) i.statusPages.listen
      i.statusPages.group;

  # NixOS leaves a changed socket as it is until the next boot, and the service with it. So a service that
  # does nothing changes with the path and its rights, and takes the socket with it, which takes ours.
  # (With the rest of the socket's unit, which names the package, it stays.)
  bindingService =
    nameOf: instanceName: _:
    let
      unit = nameOf instanceName;
    in
    {
      description = "Restarts ${unit}.socket when its path or rights change";
      restartTriggers = [
        (builtins.toJSON {
          inherit (config.systemd.sockets.${unit}) listenStreams socketConfig;
        })
      ];
      stopIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = lib.getExe' pkgs.coreutils "true";
      };
    };
in
{
  # So that it is one module, however often and by whatever way it is imported.
  key = name;

  imports = [ ./kubernetes.nix ];

  options.services.okms-k8s-encryption-provider = {
    enable = lib.mkEnableOption "the Kubernetes KMS plugin for OVHcloud KMS and KMIP servers";

    package = mkOption {
      type = types.package;
      default = pkgs.${name} or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalMD "built with the machine's own nixpkgs, so with its OpenSSL of the day";
      description = "The package of the program.";
    };

    instances = mkOption {
      type = types.attrsOf (types.submodule (import ./instance.nix { inherit lib; }));
      default = { };
      description = ''
        The plugin's instances, one for each key. Instance `NAME` has the units
        {file}`okms-k8s-encryption-provider@NAME.socket` and {file}`.service`.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.concatLists (lib.mapAttrsToList mistakes instances);

    systemd.services =
      unitsOf unitOf serviceOf
      // unitsOf alarmOf alarmServiceOf
      // unitsOf renewOf renewServiceOf
      // unitsOf (n: bindingOf (unitOf n)) (bindingService unitOf)
      // pagesUnitsOf (n: bindingOf (pagesOf n)) (bindingService pagesOf);
    systemd.sockets = unitsOf unitOf socketOf // pagesUnitsOf pagesOf pagesSocketOf;
    systemd.timers = unitsOf alarmOf (timerOf "alarmTimer") // unitsOf renewOf (timerOf "renewTimer");
    systemd.paths = unitsOf renewOf renewPathOf;

    users.users.${user} = {
      isSystemUser = true;
      group = user;
      description = "Kubernetes KMS plugin";
    };
    users.groups.${user} = { };

    # Who may do what with them on the system bus.
    services.dbus.packages = [ cfg.package ];

    # The man page, the completions, and the program to check a configuration with.
    environment.systemPackages = [ cfg.package ];
  };
}
