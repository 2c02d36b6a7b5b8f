# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# For `nix eval --apply`: what the VM tests' machines have of ours, as data.
checks:

let
  # vm-NAME, in nixpkgs or where it is stood in for.
  tests = builtins.filter (name: builtins.substring 0 3 name == "vm-") (builtins.attrNames checks);
  # As text: nothing is to be built.
  text = builtins.unsafeDiscardStringContext;
  ours = name: builtins.match "okms-k8s-encryption-provider.*" name != null;
  machineOf =
    check:
    let
      inherit (checks.${check}) nodes driver;
      inherit (nodes) machine;
      plugin = machine.services.okms-k8s-encryption-provider;
      user = machine.systemd.services."okms-k8s-encryption-provider@main".serviceConfig.User;
      units = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = text machine.systemd.units.${name}.text;
        }) (builtins.filter ours (builtins.attrNames machine.systemd.units))
      );
    in
    {
      package = text "${plugin.package}";
      inherit units;
      users.${user} = machine.users.users.${user}.group;
      testScript = text driver.testScript;
    }
    // (
      if plugin.kubernetes.enable then
        {
          apiserver = {
            extraOpts = text machine.services.kubernetes.apiserver.extraOpts;
            groups = machine.systemd.services.kube-apiserver.serviceConfig.SupplementaryGroups;
            wants = builtins.filter ours machine.systemd.services.kube-apiserver.wants;
            after = builtins.filter ours machine.systemd.services.kube-apiserver.after;
          };
          encryption = {
            path = text "${plugin.kubernetes.configurationFile}";
            inherit (plugin.kubernetes) configuration;
          };
        }
      else
        { }
    );
in
builtins.listToAttrs (
  map (check: {
    name = builtins.substring 3 (-1) check;
    value = machineOf check;
  }) tests
)
