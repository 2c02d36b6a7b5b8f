# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Durations as Go writes them, which the program and the apiserver read.
{ lib }:
{
  type = lib.types.strMatching "((0|[1-9][0-9]*)([.][0-9]+)?(ms|s|m|h))+" // {
    description = "duration such as 3s or 1m30s";
  };

  seconds =
    text:
    let
      units = {
        ms = 0.001;
        s = 1;
        m = 60;
        h = 3600;
      };
      terms = lib.filter lib.isList (builtins.split "([0-9.]+)([a-z]+)" text);
    in
    lib.foldl' (
      sum: term: sum + builtins.fromJSON (lib.head term) * units.${lib.elemAt term 1}
    ) 0 terms;
}
