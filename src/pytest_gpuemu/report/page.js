// The page's plots, drawn by BokehJS from the data in the page; its sliders and copy buttons.
// A plot is made when it is first seen, so that a page of many failures opens at once.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = new Set();
  // Okabe and Ito's colours, told apart by most eyes, some lighter or darker for their ground.
  const DTYPES = ["#0072b2", "#c77f00", "#007a58", "#b0558a", "#2f8fc9", "#d55e00", "#6f6600", "#5b48d0"];
  const DTYPES_DARK = ["#5db8f5", "#f0b840", "#2fc99a", "#e39cc4", "#a5dcff", "#ff8a3d", "#d6cb3a", "#a99bff"];
  const LIGHT = ["#fde3d3", "#fbc4a4", "#f6a078", "#ec7a51", "#dc5333", "#c3311f", "#a01515", "#7a0410"];
  const DARK = ["#4a2420", "#6b2c23", "#8f3625", "#b34528", "#d3592e", "#ec7640", "#fb9c63", "#ffc896"];
  const LEAST_ULP = 0.01, MOST_ULP = 1e9;
  const ulpOf = (value) => (value === "inf" ? Infinity : value);
  const short = (value) => (value === Infinity ? "not finite" : Number(value.toPrecision(3)).toString());
  const product = (numbers) => numbers.reduce((one, other) => one * other, 1);

  function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  // A figure in the page's colours, also after these change.
  function figure(options) {
    const made = Bokeh.Plotting.figure({
      height: 280, sizing_mode: "stretch_width", toolbar_location: null, tools: "", min_border: 4, ...options,
    });
    made.output_backend = "canvas";
    return made;
  }
  function paint(plot) {
    const { made, recolour } = plot;
    const ink = css("--ink"), soft = css("--soft"), line = css("--line"), card = css("--card");
    made.setv({ background_fill_color: card, border_fill_color: card, outline_line_color: line });
    for (const axis of [...made.below, ...made.left]) {
      axis.setv({
        axis_label_text_color: soft, major_label_text_color: ink, axis_line_color: line,
        major_tick_line_color: line, minor_tick_line_color: null, axis_label_text_font_style: "normal",
      });
    }
    for (const grid of made.center) {
      if (grid instanceof Bokeh.Grid) grid.setv({ grid_line_color: line, grid_line_alpha: 0.5 });
      if (grid instanceof Bokeh.Legend) {
        grid.setv({ background_fill_color: card, label_text_color: ink, border_line_color: line });
      }
    }
    recolour(dark.matches);
  }
  function show(made, place, recolour) {
    const plot = { made, recolour };
    plots.add(plot);
    paint(plot);
    Bokeh.Plotting.show(made, place);
  }
  dark.addEventListener("change", () => plots.forEach(paint));

  function errors(place, cases) {
    const drawn = cases.filter((one) => one.max_ulp !== null && one.elements > 0);
    if (!drawn.length) {
      place.replaceWith(said("No case of this op had an error in ulps to draw."));
      return;
    }
    const made = figure({
      x_axis_type: "log", y_axis_type: "log", x_axis_label: "elements of the outputs",
      y_axis_label: "largest error (ulp)", height: 320,
    });
    const names = [...new Set(drawn.map((one) => one.dtype))].sort();
    const renderers = [], places = [];
    names.forEach((dtype, at) => {
      for (const failed of [false, true]) {
        const some = drawn.filter((one) => one.dtype === dtype && (one.status === "failed") === failed);
        if (!some.length) continue;
        const source = new Bokeh.ColumnDataSource({
          data: {
            x: some.map((one) => one.elements),
            y: some.map((one) => Math.min(MOST_ULP, Math.max(LEAST_ULP, one.max_ulp))),
            ulp: some.map((one) => short(one.max_ulp)), seed: some.map((one) => one.case_id),
            status: some.map((one) => one.status), dtype: some.map((one) => one.dtype),
          },
        });
        renderers.push(made.scatter({ field: "x" }, { field: "y" }, {
          source, marker: failed ? "x" : "circle", size: failed ? 9 : 6, line_width: failed ? 2 : 1,
          fill_alpha: failed ? 0 : 0.5, line_alpha: failed ? 1 : 0.8,
          legend_label: failed ? `${dtype}, failed` : dtype,
        }));
        places.push(at % DTYPES.length);
      }
    });
    made.add_tools(new Bokeh.HoverTool({
      renderers, tooltips: [["seed", "@seed"], ["dtype", "@dtype"], ["elements", "@x"], ["ulp", "@ulp"], ["", "@status"]],
    }));
    const legend = made.center.find((one) => one instanceof Bokeh.Legend);
    made.center = made.center.filter((one) => one !== legend);
    made.add_layout(legend, "above");
    legend.setv({ orientation: "horizontal", ncols: place.clientWidth < 480 ? 2 : 4, border_line_color: null });
    show(made, place, (isDark) => {
      legend.setv({ label_text_color: css("--ink"), background_fill_color: css("--card") });
      renderers.forEach((renderer, at) => {
        const value = (isDark ? DTYPES_DARK : DTYPES)[places[at]];
        renderer.glyph.setv({ line_color: { value }, fill_color: { value } });
      });
    });
    place.after(said(
      `${drawn.length} cases. An error of 0 is drawn at ${LEAST_ULP}, one above ${MOST_ULP.toExponential(0)} there.`,
    ));
  }

  function ulps(place, output) {
    const found = output && output.ulps;
    if (!found) { place.closest("figure").remove(); return; }
    const bits = Math.log2(found.edges[found.edges.length - 1]);
    const labels = found.edges.map((edge) => `≤ ${edge < 1000 ? edge : edge.toExponential(0).replace("+", "")}`);
    labels[labels.length - 1] = `≤ 2^${bits}`;
    labels.push(`> 2^${bits}`, "not finite");
    const counts = [...found.counts, found.not_finite];
    const last = counts.reduce((most, count, at) => (count && at < labels.length - 2 ? at : most), 0);
    const kept = labels.map((_, at) => at).filter((at) => at <= last || (counts[at] && at >= labels.length - 2));
    const names = kept.map((at) => labels[at]).reverse();
    const source = new Bokeh.ColumnDataSource({
      data: { y: names, right: kept.map((at) => counts[at]).reverse(), kind: kept.map((at) => String(at)).reverse() },
    });
    const made = figure({
      y_range: new Bokeh.FactorRange({ factors: names }), height: Math.max(140, 60 + 22 * names.length),
      x_axis_label: "elements", x_range: new Bokeh.Range1d({ start: 0, end: 1.08 * Math.max(...counts, 1) }),
    });
    const bars = made.hbar({ y: { field: "y" }, right: { field: "right" }, left: 0, height: 0.75, source, line_color: null });
    made.add_tools(new Bokeh.HoverTool({ tooltips: [["ulp", "@y"], ["elements", "@right"]] }));
    show(made, place, (isDark) => { bars.glyph.fill_color = { value: isDark ? DARK[4] : LIGHT[4] }; });
  }

  // One failure's map: which output, which two axes, which index on every other, which quantity.
  function map(place, card, outputs) {
    const controls = card.querySelector("[data-controls]"), readout = card.querySelector("[data-readout]");
    const drawable = outputs.filter((output) => output.grid);
    const source = new Bokeh.ColumnDataSource({ data: { x: [], y: [], value: [], wrong: [], size: [], largest: [], rows: [], columns: [] } });
    const made = figure({
      height: 340, x_range: new Bokeh.Range1d({ start: 0, end: 1 }), y_range: new Bokeh.Range1d({ start: 1, end: 0 }),
    });
    const mapper = new Bokeh.LinearColorMapper({ palette: LIGHT, low: 0, high: 1 });
    const cells = made.rect({
      x: { field: "x" }, y: { field: "y" }, width: { field: "wide" }, height: { field: "high" }, source,
      fill_color: { field: "value", transform: mapper }, line_color: { field: "value", transform: mapper }, line_width: 0.5,
    });
    for (const grid of made.center) if (grid instanceof Bokeh.Grid) grid.visible = false;
    made.add_tools(new Bokeh.HoverTool({
      tooltips: [["rows", "@rows"], ["columns", "@columns"], ["exceed", "@wrong of @size"], ["largest error", "@largest"]],
    }));
    const bar = new Bokeh.ColorBar({ color_mapper: mapper, width: 10, padding: 6, title_text_font_style: "normal" });
    made.add_layout(bar, "right");
    const state = { output: drawable[0], quantity: "share" };
    start(state);

    function update() {
      const { grid } = state.output, { cells: counts, cell, shape } = grid;
      const strides = counts.map((_, axis) => product(counts.slice(axis + 1)));
      const offset = Object.entries(state.at).reduce((sum, [axis, at]) => sum + at * strides[axis], 0);
      const rows = state.rows === null ? 1 : counts[state.rows], columns = state.columns === null ? 1 : counts[state.columns];
      const values = { x: [], y: [], wide: [], high: [], value: [], wrong: [], size: [], largest: [], rows: [], columns: [] };
      const extent = (axis, at) => (axis === null ? [0, 1] : [at * cell[axis], Math.min(shape[axis], (at + 1) * cell[axis])]);
      const others = Object.entries(state.at).map(([axis, at]) => extent(Number(axis), at));
      const deep = product(others.map(([from, to]) => to - from));
      let total = 0, bad = 0, top = 1;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const at = offset + (state.rows === null ? 0 : row * strides[state.rows]) + (state.columns === null ? 0 : column * strides[state.columns]);
          const [y0, y1] = extent(state.rows, row), [x0, x1] = extent(state.columns, column);
          const size = (y1 - y0) * (x1 - x0) * deep, wrong = grid.wrong[at], largest = ulpOf(grid.largest[at]);
          total += size; bad += wrong;
          if (largest !== Infinity) top = Math.max(top, Math.log10(1 + largest));
          values.x.push((x0 + x1) / 2); values.y.push((y0 + y1) / 2);
          values.wide.push(x1 - x0); values.high.push(y1 - y0);
          values.value.push(state.quantity === "share" ? (wrong ? wrong / size : -1) : largest === Infinity ? Infinity : largest ? Math.log10(1 + largest) : -1);
          values.wrong.push(wrong); values.size.push(size);
          values.largest.push(`${short(largest)}${grid.unit === "ulp" && largest !== Infinity ? " ulp" : ""}`);
          values.rows.push(y1 - y0 === 1 ? `${y0}` : `${y0} to ${y1 - 1}`); values.columns.push(x1 - x0 === 1 ? `${x0}` : `${x0} to ${x1 - 1}`);
        }
      }
      source.data = values;
      mapper.setv({ low: 0, high: state.quantity === "share" ? 1 : top });
      bar.title = state.quantity === "share" ? "share that exceeds" : `log10(1 + ${grid.unit === "ulp" ? "ulp" : "error"})`;
      const size = (axis) => (axis === null ? 1 : shape[axis]);
      made.x_range.setv({ start: 0, end: size(state.columns) });
      made.y_range.setv({ start: size(state.rows), end: 0 });
      made.below[0].axis_label = state.columns === null ? "" : `axis ${state.columns}`;
      made.left[0].axis_label = state.rows === null ? "" : `axis ${state.rows}`;
      made.left[0].visible = state.rows !== null;
      made.height = Math.max(130, Math.min(340, 110 + 24 * rows));
      const index = shape.map((_, axis) => (axis in state.at ? span(extent(axis, state.at[axis])) : ":")).join(", ");
      const gathered = product(cell) === 1 ? "one element" : `${cell.join(" × ")} elements`;
      readout.textContent = `${state.output.name}${shape.length ? `[${index}]` : ""}: ${bad} of ${total} elements exceed; a cell is ${gathered}`;
      for (const [axis, out] of Object.entries(state.outs || {})) out.textContent = span(extent(Number(axis), state.at[axis]));
    }
    function span([from, to]) { return to - from === 1 ? `${from}` : `${from}…${to - 1}`; }
    function start(at) {
      const { grid, shown } = at.output, ndim = grid.shape.length;
      at.rows = ndim < 2 ? null : shown && shown.rows !== null ? shown.rows : ndim - 2;
      at.columns = ndim < 1 ? null : shown ? shown.columns : ndim - 1;
      at.given = (shown && shown.at) || {};
      hold(at);
    }
    function hold(at) {
      const { grid } = at.output;
      at.at = {};
      grid.shape.forEach((_, axis) => {
        if (axis !== at.rows && axis !== at.columns) at.at[axis] = Math.floor((at.given[axis] || 0) / grid.cell[axis]);
      });
    }
    function choice(label, options, chosen, choose) {
      const select = document.createElement("select");
      for (const [value, text] of options) select.add(new Option(text, value, false, value === chosen));
      select.addEventListener("change", () => choose(select.value));
      return labelled(label, select);
    }
    function build(focus) {
      const { grid } = state.output, axes = grid.shape.map((size, axis) => [String(axis), `${axis} (${size})`]);
      controls.replaceChildren();
      state.outs = {};
      if (drawable.length > 1) {
        controls.append(choice("output", drawable.map((output) => [output.name, output.name]), state.output.name, (name) => {
          state.output = drawable.find((output) => output.name === name);
          start(state); build("output"); update();
        }));
      }
      controls.append(choice("show", [["share", "share that exceeds"], ["largest", "largest error"]], state.quantity, (value) => {
        state.quantity = value; update();
      }));
      if (grid.shape.length > 2) {
        for (const [label, key, other] of [["rows", "rows", "columns"], ["columns", "columns", "rows"]]) {
          controls.append(choice(`${label}: axis`, axes, String(state[key]), (value) => {
            const axis = Number(value);
            if (axis === state[other]) state[other] = state[key];
            state[key] = axis;
            hold(state); build(`${label}: axis`); update();
          }));
        }
      }
      for (const axis of Object.keys(state.at)) {
        const slider = document.createElement("input"), out = document.createElement("output");
        Object.assign(slider, { type: "range", min: 0, max: grid.cells[axis] - 1, step: 1, value: state.at[axis] });
        slider.disabled = grid.cells[axis] === 1;
        slider.addEventListener("input", () => { state.at[axis] = Number(slider.value); update(); });
        state.outs[axis] = out;
        controls.append(labelled(`index on axis ${axis}`, slider, out));
      }
      for (const label of controls.children) {
        if (focus && label.firstChild.textContent === focus) label.querySelector("select, input").focus();
      }
    }
    build();
    update();
    show(made, place, (isDark) => {
      mapper.palette = isDark ? DARK : LIGHT;
      mapper.low_color = isDark ? "#20262e" : "#eef1f4";
      mapper.high_color = isDark ? "#ffffff" : "#000000";
      bar.setv({ background_fill_color: css("--card"), major_label_text_color: css("--ink"), title_text_color: css("--soft"), bar_line_color: css("--line") });
    });
  }

  function said(text) {
    const made = document.createElement("p");
    made.className = "quiet";
    made.textContent = text;
    return made;
  }
  function labelled(text, ...parts) {
    const label = document.createElement("label"), name = document.createElement("span");
    name.textContent = text;
    label.append(name, ...parts);
    return label;
  }

  function draw(place) {
    const card = place.closest("[data-failure]");
    if (place.dataset.plot === "errors") errors(place, data.ops[Number(place.dataset.op)]);
    else if (place.dataset.plot === "map") map(place, card, data.failures[Number(card.dataset.failure)]);
    else ulps(place, data.failures[Number(card.dataset.failure)].find((output) => output.ulps));
  }
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });
  document.querySelectorAll("[data-plot]").forEach((place) => seen.observe(place));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    document.getElementById("said").textContent = done ? "Copied to the clipboard" : "Selected; press Ctrl+C to copy";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // A link to an operator opens it.
  function open() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }
  addEventListener("hashchange", open);
  open();
})();
