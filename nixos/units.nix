# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The units of ../systemd as values, so that what is hardened there is hardened here.
{ lib }:
{
  # A template's sections, with every value of a key in a list:
  # { Unit.Description = [ "…" ]; Service.LoadCredential = [ "…" "…" ]; }
  read =
    template: substitutions:
    let
      # Not in the whole text: what is matched loses its context, by which Nix knows that a unit needs
      # the program.
      substitute = lib.replaceStrings (map (name: "@${name}@") (lib.attrNames substitutions)) (
        lib.attrValues substitutions
      );
      lines = lib.filter (line: line != "" && !lib.hasPrefix "#" line) (
        lib.splitString "\n" (builtins.readFile template)
      );
      add =
        { section, sections }:
        line:
        let
          heading = builtins.match "\\[([A-Za-z]+)]" line;
          setting = builtins.match "([A-Za-z]+)=(.*)" line;
          key = lib.elemAt setting 0;
          before = sections.${section}.${key} or [ ];
        in
        if heading != null then
          {
            inherit sections;
            section = lib.head heading;
          }
        else if setting == null then
          throw "${toString template}: no setting and no section: ${line}"
        else
          {
            inherit section;
            sections = lib.recursiveUpdate sections {
              ${section}.${key} = before ++ [ (substitute (lib.elemAt setting 1)) ];
            };
          };
    in
    (lib.foldl' add {
      section = "";
      sections = { };
    } lines).sections;

  # A section as serviceConfig and its like take it: what is there once is no list.
  toConfig = lib.mapAttrs (_: values: if lib.length values == 1 then lib.head values else values);

  # The words of a key of [Unit] or [Install], such as After=.
  words =
    section: key:
    lib.filter (word: word != "") (lib.concatMap (lib.splitString " ") (section.${key} or [ ]));
}
