# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A stand-in, written from scratch, for the small part of nixpkgs' lib that this
# repository uses.  It lets CI evaluate flake.nix, nix/*.nix and nixos/*.nix
# where nixpkgs cannot be had.  It is NOT nixpkgs: it checks option types
# shallowly and knows no priorities beyond mkDefault/mkForce.  A pass here says
# that our code evaluates and gives these values; only real nixpkgs says that
# NixOS takes them.
let
  b = builtins;
in
rec {
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    mapAttrs
    map
    replaceStrings
    stringLength
    tail
    toString
    ;

  id = x: x;
  const = x: _: x;
  fix =
    f:
    let
      x = f x;
    in
    x;
  optional = c: x: if c then [ x ] else [ ];
  optionals = c: x: if c then x else [ ];
  optionalString = c: x: if c then x else "";
  optionalAttrs = c: x: if c then x else { };
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (n: nameValuePair n (f n)) names);
  mapAttrsToList = f: s: map (n: f n s.${n}) (attrNames s);
  mapAttrs' = f: s: listToAttrs (mapAttrsToList f s);
  filterAttrs = p: s: listToAttrs (filter (x: p x.name x.value) (mapAttrsToList nameValuePair s));
  concatMapStringsSep =
    sep: f: xs:
    concatStringsSep sep (map f xs);
  concatMapStrings = concatMapStringsSep "";
  concatStrings = concatStringsSep "";
  concatLines = xs: concatMapStrings (x: x + "\n") xs;
  replicate = n: x: b.genList (_: x) n;
  last = xs: elemAt xs (length xs - 1);
  drop = n: xs: b.genList (i: elemAt xs (i + n)) (if length xs > n then length xs - n else 0);
  trim = s: head (b.match "[ \t\n]*(.*[^ \t\n])[ \t\n]*" s);
  toList = x: if isList x then x else [ x ];
  unique = foldl' (acc: x: if elem x acc then acc else acc ++ [ x ]) [ ];
  boolToString = x: if x then "true" else "false";
  splitString =
    sep: s: map (x: b.substring 0 0 s + x) (filter isString (b.split (escapeRegex sep) s));
  escapeRegex = b.replaceStrings [ "." "*" ] [ "[.]" "[*]" ];
  hasInfix = part: s: part == "" || b.replaceStrings [ part ] [ "" ] s != s;
  any = b.any;
  all = b.all;
  hasPrefix = p: s: b.substring 0 (b.stringLength p) s == p;
  hasSuffix =
    p: s:
    let
      n = b.stringLength s;
      m = b.stringLength p;
    in
    n >= m && b.substring (n - m) m s == p;
  removePrefix =
    p: s: if hasPrefix p s then b.substring (b.stringLength p) (b.stringLength s) s else s;
  escapeShellArg = s: "'${b.replaceStrings [ "'" ] [ "'\\''" ] (toString s)}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  recursiveUpdate =
    l: r:
    l
    // mapAttrs (n: v: if isAttrs v && isAttrs (l.${n} or null) then recursiveUpdate l.${n} v else v) r;
  composeManyExtensions =
    exts: final: prev:
    foldl' (acc: e: acc // e final (prev // acc)) { } exts;
  importJSON = p: b.fromJSON (b.readFile p);
  fileContents = p: head (b.match "([^\n]*)\n?.*" (b.readFile p));
  versionAtLeast = x: y: b.compareVersions x y >= 0;
  cmakeBool = n: v: "-D${n}:BOOL=${if v then "TRUE" else "FALSE"}";
  cmakeFeature = n: v: "-D${n}:STRING=${v}";
  getBin = p: p;
  getExe = p: "${p}/bin/${p.meta.mainProgram}";
  getExe' = p: n: "${p}/bin/${n}";
  cleanSource = p: p;
  warn = m: x: b.trace "warning: ${m}" x;
  throwIf =
    c: m: x:
    if c then throw m else x;
  licenses.asl20.spdxId = "Apache-2.0";
  platforms = {
    linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
  maintainers = { };
  fileset = {
    # The names only: `fileset` less `without` is what a build of the real thing would see.
    toSource =
      { root, fileset }:
      {
        outPath = "${toString root}";
        fileset = fileset.of or fileset;
        without = fileset.without or [ ];
      };
    unions =
      xs: b.deepSeq (map (p: if b.pathExists p then p else throw "fileset: no ${toString p}") xs) xs;
    difference = of: without: { inherit of without; };
  };

  # ---- options ------------------------------------------------------------
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };
  mkOption =
    a:
    {
      _type = "option";
      type = types.unspecified;
    }
    // a;
  mkEnableOption =
    n:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${n}.";
    };
  mkPackageOption =
    pkgs: name: a:
    mkOption (
      {
        type = types.package;
        description = "The ${name} package to use.";
        defaultText = literalExpression "pkgs.${name}";
        default =
          pkgs.${if isList name then b.elemAt name 0 else name}
            or (throw "mkPackageOption: no ${toString name}");
      }
      // removeAttrs a [
        "pkgsText"
        "extraDescription"
      ]
    );
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkOrder = _: x: x;
  mkBefore = id;
  mkAfter = id;

  tagOf = x: if isAttrs x then x._type or "" else "";

  # mkIf / mkMerge / mkOverride unfolded into a list of { prio, value }
  unfold =
    prio: x:
    let
      t = tagOf x;
    in
    if t == "if" then
      (if x.condition then unfold prio x.content else [ ])
    else if t == "merge" then
      concatMap (unfold prio) x.contents
    else if t == "override" then
      unfold x.priority x.content
    else
      [
        {
          inherit prio;
          value = x;
        }
      ];

  # the values of the strongest priority
  best =
    ds:
    let
      p = foldl' (m: d: if d.prio < m then d.prio else m) 9999 ds;
    in
    map (d: d.value) (filter (d: d.prio == p) ds);

  # the same for a set of options: the condition goes down to each name, for it
  # may itself depend on the configuration
  pushDown =
    x:
    let
      t = tagOf x;
      each = wrap: map (mapAttrs (_: wrap)) (pushDown x.content);
    in
    if t == "if" then
      each (mkIf x.condition)
    else if t == "merge" then
      concatMap pushDown x.contents
    else if t == "override" then
      each (mkOverride x.priority)
    else
      [ x ];

  resolve =
    loc: opt: defs:
    let
      all =
        concatMap (unfold 100) defs
        ++ (
          if opt ? default then
            [
              {
                prio = 1500;
                value = opt.default;
              }
            ]
          else
            [ ]
        );
      vals = if all == [ ] then [ ] else best all;
      v =
        if vals == [ ] then
          throw "option ${showLoc loc} is used but not defined"
        else
          opt.type.merge loc vals;
    in
    if opt ? apply then opt.apply v else v;

  showLoc = concatStringsSep ".";
  isOption = x: tagOf x == "option";

  # ---- documentation, in the form of the real one --------------------------
  generators.toPretty =
    _: v:
    let
      go =
        indent: v:
        let
          inner = indent + "  ";
          block =
            open: close: xs:
            "${open}\n${concatMapStringsSep "\n" (x: inner + x) xs}\n${indent}${close}";
        in
        if isList v then
          if v == [ ] then "[ ]" else block "[" "]" (map (go inner) v)
        else if isAttrs v then
          if v == { } then "{ }" else block "{" "}" (mapAttrsToList (n: x: "${n} = ${go inner x};") v)
        else if isString v then
          b.toJSON v
        else if v == null then
          "null"
        else if isBool v then
          boolToString v
        else
          toString v;
    in
    go "" v;
  renderOptionValue =
    v: if (v._type or "") != "" then v else literalExpression (generators.toPretty { } v);
  optionAttrSetToDocList =
    let
      go =
        loc: opts:
        concatLists (
          mapAttrsToList (
            n: o:
            let
              at = loc ++ [ n ];
              values =
                optionalAttrs (o ? default || o ? defaultText) {
                  default = renderOptionValue (o.defaultText or o.default);
                }
                // optionalAttrs (o ? example) { example = renderOptionValue o.example; };
            in
            if !isOption o then
              go at o
            else
              [
                (
                  {
                    loc = at;
                    name = showLoc at;
                    description = o.description or null;
                    type = o.type.description;
                    internal = o.internal or false;
                    visible = o.visible or true;
                    readOnly = o.readOnly or false;
                  }
                  // values
                )
              ]
              ++ (
                let
                  below = o.type.below or (_: null) at;
                in
                if below == null then [ ] else go below.loc below.options
              )
          ) opts
        );
    in
    go [
      "services"
      "okms-k8s-encryption-provider"
    ];

  # options tree x definitions -> values.  Names that no option declares go to
  # the freeform type, or are told by unknownIn.
  mergeTree =
    freeform: loc: opts: defs:
    let
      flat = concatMap pushDown defs;
      declared = mapAttrs (
        n: o:
        let
          l = loc ++ [ n ];
        in
        if isOption o then resolve l o (defsOf n flat) else mergeTree null l o (defsOf n flat)
      ) opts;
    in
    if freeform == null then
      declared
    else
      freeform.merge loc (map (d: removeAttrs d (attrNames opts)) flat) // declared;

  defsOf = n: flat: concatMap (d: if d ? ${n} then [ d.${n} ] else [ ]) flat;

  # locations that are defined but not declared
  unknownIn =
    loc: opts: defs:
    let
      flat = concatMap pushDown defs;
    in
    concatMap (
      n:
      let
        l = loc ++ [ n ];
        ds = defsOf n flat;
      in
      if !(opts ? ${n}) then
        (if concatMap (unfold 100) ds == [ ] then [ ] else [ (showLoc l) ])
      else if isOption opts.${n} then
        [ ]
      else
        unknownIn l opts.${n} ds
    ) (attrNames (foldl' (a: d: a // d) { } flat));

  bad =
    loc: what: v:
    throw "A definition for option `${showLoc loc}' is not of type `${what}': ${b.typeOf v}";
  one =
    loc: what: ok: vals:
    let
      bads = filter (v: !ok v) vals;
    in
    if bads != [ ] then
      bad loc what (head bads)
    else if length vals > 1 && any (v: v != head vals) vals then
      throw "The option `${showLoc loc}' has conflicting definitions"
    else
      head vals;
  scalar = description: ok: {
    inherit description;
    check = ok;
    merge = loc: one loc description ok;
  };

  isDrv = x: isAttrs x && (x.type or "") == "derivation";
  isPathLike = x: isPath x || isDrv x || (isString x && hasPrefix "/" x);

  types = rec {
    unspecified = scalar "unspecified" (_: true);
    raw = unspecified;
    bool = scalar "boolean" isBool;
    int = scalar "signed integer" isInt;
    float = scalar "float" b.isFloat;
    number = scalar "number" (x: isInt x || b.isFloat x);
    str = scalar "string" isString;
    singleLineStr = scalar "single line string" (x: isString x && b.match "[^\n]*" x != null);
    nonEmptyStr = scalar "non-empty string" (x: isString x && x != "");
    strMatching =
      re: scalar "string matching the pattern ${re}" (x: isString x && b.match re x != null);
    path = scalar "absolute path" isPathLike;
    # Unlike others it takes no second definition, were it the same.
    package = scalar "package" isDrv // {
      merge =
        loc: vals:
        if length vals > 1 then
          throw "The option `${showLoc loc}' is defined multiple times while it's expected to be unique."
        else
          one loc "package" isDrv vals;
    };
    port = ints.u16;
    ints = {
      between =
        lo: hi:
        scalar "integer between ${toString lo} and ${toString hi}" (x: isInt x && x >= lo && x <= hi);
      unsigned = scalar "unsigned integer" (x: isInt x && x >= 0);
      positive = scalar "positive integer" (x: isInt x && x > 0);
      u16 = ints.between 0 65535;
      u32 = ints.between 0 4294967295;
    };
    enum = xs: scalar "one of ${concatMapStringsSep ", " b.toJSON xs}" (x: elem x xs);
    separatedString = sep: {
      description = "strings concatenated with ${b.toJSON sep}";
      check = isString;
      merge =
        loc: vals: if all isString vals then concatStringsSep sep vals else bad loc "string" (head vals);
    };
    lines = separatedString "\n";
    commas = separatedString ",";
    nullOr = t: {
      description = "null or ${t.description}";
      check = x: x == null || t.check x;
      merge = loc: vals: if all (v: v == null) vals then null else t.merge loc vals;
    };
    # Several words in one place.
    phrase = t: if t.compound or false then "(${t.description})" else t.description;
    listOf = t: {
      description = "list of ${phrase t}";
      below = loc: t.below or (_: null) (loc ++ [ "*" ]);
      check = isList;
      merge =
        loc: vals:
        let
          bads = filter (v: !isList v) vals;
        in
        if bads != [ ] then
          bad loc "list of ${t.description}" (head bads)
        else
          map (v: t.merge loc [ v ]) (concatMap (v: concatMap (x: map (d: d.value) (unfold 100 x)) v) vals);
    };
    nonEmptyListOf =
      t:
      listOf t
      // {
        description = "non-empty (list of ${phrase t})";
        merge =
          loc: vals:
          let
            r = (listOf t).merge loc vals;
          in
          if r == [ ] then throw "${showLoc loc} is empty" else r;
      };
    attrsOf = t: {
      description = "attribute set of ${phrase t}";
      below = loc: t.below or (_: null) (loc ++ [ "<name>" ]);
      check = isAttrs;
      merge =
        loc: vals:
        let
          bads = filter (v: !isAttrs v) vals;
          flat = concatMap pushDown vals;
          defined = listToAttrs (
            concatMap (
              n:
              let
                ds = concatMap (unfold 100) (defsOf n flat);
              in
              if ds == [ ] then [ ] else [ (nameValuePair n (best ds)) ]
            ) (attrNames (foldl' (a: d: a // d) { } flat))
          );
        in
        if bads != [ ] then
          bad loc "attribute set" (head bads)
        else
          mapAttrs (n: t.merge (loc ++ [ n ])) defined;
    };
    lazyAttrsOf = attrsOf;
    attrs = attrsOf unspecified;
    anything = {
      description = "anything";
      check = _: true;
      merge =
        loc: vals:
        if all (v: isAttrs v && !isDrv v) vals then
          (attrsOf anything).merge loc vals
        else if all isList vals then
          concatLists vals
        else
          one loc "anything" (_: true) vals;
    };
    either = x: y: {
      description = "${x.description} or ${y.description}";
      compound = true;
      check = v: x.check v || y.check v;
      merge =
        loc: vals:
        if all x.check vals then
          x.merge loc vals
        else if all y.check vals then
          y.merge loc vals
        else
          bad loc "${x.description} or ${y.description}" (head vals);
    };
    oneOf = ts: foldl' either (head ts) (b.tail ts);
    coercedTo =
      from: f: to:
      to // { merge = loc: vals: to.merge loc (map (v: if from.check v then f v else v) vals); };
    addCheck =
      t: p:
      t
      // {
        check = x: t.check x && p x;
        merge =
          loc: vals:
          let
            v = t.merge loc vals;
          in
          if p v then v else bad loc t.description v;
      };
    submodule = m: submoduleWith { modules = toList m; };
    submoduleWith = { modules, ... }: {
      description = "submodule";
      compound = true;
      below = loc: {
        inherit loc;
        inherit
          (evalModules {
            inherit modules;
            specialArgs.name = "<name>";
          })
          options
          ;
      };
      check = x: isAttrs x || isFunction x;
      merge =
        loc: vals:
        (evalModules {
          modules = modules ++ vals;
          prefix = loc;
          specialArgs.name = if loc == [ ] then "" else b.elemAt loc (length loc - 1);
        }).config;
    };
  };

  # ---- modules ------------------------------------------------------------
  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      args = specialArgs // {
        inherit config options;
        lib = specialArgs.lib or (import ./lib.nix);
      };
      # Modules are the same by their `key`, which is their path unless they have one of their own.
      load =
        m:
        let
          path = if isPath m || isString m then toString m else null;
          v = if isPath m || isString m then import m else m;
          r =
            if isFunction v then
              v (b.intersectAttrs (b.functionArgs v) args // (if b.functionArgs v == { } then args else { }))
            else
              v;
          plain = !(r ? config || r ? options);
        in
        concatMap load (r.imports or [ ])
        ++ [
          {
            options = r.options or { };
            config =
              if plain then
                removeAttrs r [
                  "imports"
                  "freeformType"
                  "_file"
                  "key"
                  "meta"
                  "disabledModules"
                ]
              else
                r.config or { };
            freeform = r.freeformType or null;
            key = r.key or path;
          }
        ];
      loaded = foldl' (
        acc: m: if m.key != null && any (other: other.key == m.key) acc then acc else acc ++ [ m ]
      ) [ ] (concatMap load modules);
      options = foldl' (a: m: recursiveUpdateOptions a m.options) { } loaded;
      freeforms = filter (f: f != null) (map (m: m.freeform) loaded);
      defs = map (m: m.config) loaded;
      config = mergeTree (if freeforms == [ ] then null else head freeforms) prefix options defs;
      unknown = if freeforms == [ ] then unknownIn prefix options defs else [ ];
    in
    {
      inherit options;
      config = if unknown == [ ] then config else throw "The option `${head unknown}' does not exist";
    };

  recursiveUpdateOptions =
    l: r:
    l
    // mapAttrs (
      n: v:
      if !(l ? ${n}) then
        v
      else if isOption v || isOption l.${n} then
        throw "The option `${n}' is already declared"
      else
        recursiveUpdateOptions l.${n} v
    ) r;
}
