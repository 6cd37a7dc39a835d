// Charts of reports (uPlot). What is drawn stands in the table below it as well.
const lang = document.documentElement.lang;
// A colour of the theme, as light-dark() gives it.
function themed(name) {
  const probe = document.createElement("i");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
const STEPS = { hour: 3600, day: 86400, week: 7 * 86400, month: 28 * 86400 };
const SHOWN = {
  hour: { dateStyle: "medium", timeStyle: "short" },
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  week: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "long", year: "numeric" },
};
const charts = [];
function draw(place) {
  const told = JSON.parse(place.dataset.chart);
  const [times, ...parts] = told.columns;
  // Bars on top of each other: each is drawn from the ground, the highest first.
  const sums = parts.map((_, at) => times.map((_, index) => parts.slice(0, at + 1).reduce((sum, part) => sum + part[index], 0)));
  const colours = ["chart-good", "chart-bad", "chart-other"].map(themed);
  const ink = themed("chart-ink");
  const line = themed("chart-line");
  const format = new Intl.DateTimeFormat(lang, { ...SHOWN[told.per], timeZone: told.zone });
  const series = [2, 1, 0].map((at) => ({
    label: told.names[at],
    fill: colours[at],
    stroke: colours[at],
    width: 0,
    points: { show: false },
    paths: window.uPlot.paths.bars({ size: [0.7, 40], align: 0 }),
    value: (_, __, ___, index) => (index === null || index === undefined ? "–" : String(parts[at][index])),
  }));
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  const half = STEPS[told.per] / 2;
  const size = () => ({ width: place.clientWidth, height: place.clientWidth < 500 ? 220 : 280 });
  const short = new Intl.DateTimeFormat(lang, told.per === "hour" ? { hour: "2-digit", minute: "2-digit", timeZone: told.zone } : told.per === "month" ? { month: "short", year: "2-digit", timeZone: told.zone } : { day: "numeric", month: "short", timeZone: told.zone });
  const chart = new window.uPlot({
    ...size(),
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), told.zone),
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    legend: { live: true },
    scales: { x: { time: true, range: (_, least, most) => [least - half, most + half] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, splits: (self, _, least, most) => {
        const every = Math.max(1, Math.ceil(times.length / Math.max(2, Math.floor(self.width / 80))));
        return times.filter((at, index) => index % every === 0 && at >= least && at <= most);
      }, values: (_, splits) => splits.map((at) => short.format(new Date(at * 1000))) },
      { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] },
    ],
    series: [{ label: "", value: (_, at) => (at ? format.format(new Date(at * 1000)) : "–") }, ...series],
  }, [times, sums[2], sums[1], sums[0]], place);
  charts.push(() => chart.setSize(size()));
}
for (const place of document.querySelectorAll("[data-chart]")) draw(place);
let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => charts.forEach((fit) => fit()));
});
