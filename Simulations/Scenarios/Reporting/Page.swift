// The parts that every page of ours is made of: the frame and the style sheet. A page needs nothing but
// itself: no script, no font, no picture from elsewhere.

import Node

/// The frame of a page.
enum Page {
  static func document(title: String, body: String) -> String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(Markup.escape(title))</title>
    <style>
    \(style)
    </style>
    </head>
    <body>
    <main>
    \(body)
    </main>
    </body>
    </html>

    """
  }

  static let style = """
    :root { --paper: #fbfaf7; --card: #ffffff; --ink: #1d2126; --soft: #646c76; --faint: #e6e3dc;
      --line: #c9c5bb;
      --a: #1f5fa8; --b: #c26a12; --c: #2f8a5b; --bad: #c4302b; --good: #2b7d4f; --band: #f1e9d8; }
    @media (prefers-color-scheme: dark) {
      :root { --paper: #14171b; --card: #1b1f24; --ink: #e6e8ea; --soft: #98a1ab; --faint: #2a2f36;
        --line: #444b54;
        --a: #6aa9ee; --b: #eba25a; --c: #6cc598; --bad: #f0766f; --good: #6cc598; --band: #2b2820; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink);
      font: 16px/1.5 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue",
        "DejaVu Sans", sans-serif;
      font-variant-numeric: tabular-nums; }
    main { max-width: 1160px; margin: 0 auto; padding: 48px 28px 72px; }
    header { border-left: 6px solid var(--good); padding-left: 20px; margin-bottom: 34px; }
    header.failed { border-color: var(--bad); }
    h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.015em; margin: 0 0 6px; font-weight: 650; }
    header p { margin: 0; color: var(--soft); font-size: 17px; max-width: 68ch; }
    h2 { font-size: 20px; letter-spacing: -0.005em; margin: 46px 0 14px; font-weight: 620; }
    .facts { display: flex; flex-wrap: wrap; gap: 6px 30px; margin: 16px 0 0; padding: 0; list-style: none;
      color: var(--soft); font-size: 14px; }
    .facts b { color: var(--ink); font-weight: 600; }
    .cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; }
    @media (max-width: 720px) { .cards { grid-template-columns: repeat(2, 1fr); } }
    .card { background: var(--card); border: 1px solid var(--faint); border-radius: 10px;
      padding: 14px 16px; }
    .card b { display: block; font-size: 25px; line-height: 1.2; font-weight: 620; letter-spacing: -0.01em; }
    .card b.none { color: var(--soft); font-weight: 500; }
    .card span { color: var(--soft); font-size: 13px; line-height: 1.35; display: block; }
    .card small { font-size: 14px; font-weight: 500; color: var(--soft); }
    table { border-collapse: collapse; width: 100%; font-size: 14.5px; background: var(--card);
      border: 1px solid var(--faint); border-radius: 10px; overflow: hidden; border-spacing: 0; }
    th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
    th, td { padding: 7px 14px; border-bottom: 1px solid var(--faint); vertical-align: baseline; }
    tr:last-child td { border-bottom: 0; }
    td.n, th.n { text-align: right; white-space: nowrap; }
    td.name { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: 13px; white-space: nowrap; color: var(--soft); }
    td.mark { width: 1%; font-weight: 700; color: var(--good); padding-right: 0; }
    tr.failed td { background: color-mix(in srgb, var(--bad) 9%, transparent); }
    tr.failed td.mark, tr.failed td.value { color: var(--bad); font-weight: 650; }
    .scroll { overflow-x: auto; }
    .plots { display: grid;
      grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 18px; }
    figure { margin: 0; background: var(--card); border: 1px solid var(--faint); border-radius: 10px;
      padding: 14px 16px 8px; display: flex; flex-direction: column; }
    figcaption { font-size: 14px; color: var(--soft); line-height: 1.4; margin-bottom: 8px; }
    figcaption b { color: var(--ink); font-size: 15.5px; font-weight: 620; display: block; }
    figure svg { width: 100%; height: auto; display: block; margin-top: auto; }
    .legend { margin: 0 0 4px; font-size: 13px; color: var(--soft); }
    .key { display: inline-block; width: 18px; height: 3px; border-radius: 2px; vertical-align: middle;
      margin: 0 6px 0 0; background: currentColor; }
    .legend .key:not(:first-child) { margin-left: 14px; }
    .key.a { color: var(--a); } .key.b { color: var(--b); } .key.c { color: var(--c); }
    .key.bad { color: var(--bad); }
    svg text { fill: var(--soft); font-size: 11.5px; font-family: inherit; }
    svg text.word { font-size: 12px; } svg text.big { font-size: 30px; font-weight: 620; fill: var(--ink); }
    .grid { stroke: var(--faint); stroke-width: 1; } .axis { stroke: var(--line); stroke-width: 1; }
    .band { fill: var(--band); } .mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
    td.mark { stroke: none; }
    .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
    .curve.a { stroke: var(--a); } .curve.b { stroke: var(--b); } .curve.c { stroke: var(--c); }
    .curve.bad { stroke: var(--bad); }
    .bar.a { fill: var(--a); } .bar.b { fill: var(--b); } .bar.c { fill: var(--c); }
    .bar.bad { fill: var(--bad); }
    .circle { fill: none; stroke: var(--line); stroke-width: 1; }
    .near { fill: none; stroke: var(--a); stroke-width: 0.8; opacity: 0.5; }
    .shortcut { fill: none; stroke: var(--c); stroke-width: 0.6; opacity: 0.28; }
    .broken { fill: none; stroke: var(--bad); stroke-width: 0.9; opacity: 0.65; }
    .node { fill: var(--a); } .node.partly { fill: var(--b); } .node.wrong { fill: var(--bad); }
    .node.unsettled { fill: var(--card); stroke: var(--a); stroke-width: 1.6; }
    .node.partly.unsettled { stroke: var(--b); } .node.wrong.unsettled { stroke: var(--bad); }
    .rings { display: grid;
      grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); gap: 18px; }
    pre { background: var(--card); border: 1px solid var(--faint); border-radius: 10px; padding: 14px 16px;
      overflow-x: auto;
      font: 13px/1.55 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      white-space: pre-wrap; overflow-wrap: anywhere; }
    .note { color: var(--soft); font-size: 14px; max-width: 76ch; }
    """
}
