# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The text of docs/nixos-options.md.
{ lib, pkgs }:

let
  evaluated = lib.evalModules {
    modules = [
      ./module.nix
      # The options of NixOS that it sets are not here.
      { _module.check = false; }
    ];
    specialArgs = { inherit pkgs; };
  };
  documented = lib.filter (option: !option.internal && option.visible != false) (
    lib.optionAttrSetToDocList evaluated.options.services.okms-k8s-encryption-provider
  );

  # The roles of the NixOS manual are no Markdown.
  plain = lib.replaceStrings [ "{option}`" "{file}`" "{manpage}`" ] [ "`" "`" "`" ];
  value = v: if v._type == "literalMD" then plain v.text else "`${plain v.text}`";
  line =
    what: option:
    lib.optionalString (option ? ${what}) (
      let
        v = option.${what};
      in
      if lib.hasInfix "\n" v.text then
        "\n${if what == "default" then "Default" else "Example"}:\n\n```nix\n${v.text}\n```\n"
      else
        "\n${if what == "default" then "Default" else "Example"}: ${value v}\n"
    );
  entry = option: ''

    ## `${lib.concatStringsSep "." (lib.drop 2 option.loc)}`

    ${lib.trim (plain option.description)}

    Type: ${option.type}${lib.optionalString option.readOnly " (read only)"}
    ${line "default" option}${line "example" option}'';
in
''
  <!--
  SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
  SPDX-License-Identifier: Apache-2.0
  -->
  # Options of the NixOS module

  All are below `services.okms-k8s-encryption-provider`. Made from `nixos/module.nix`.
''
+ lib.concatMapStrings entry documented
