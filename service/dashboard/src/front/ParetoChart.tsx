import type { ECharts } from "echarts/core";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { useChart, useChartEvent } from "../charts/chart";
import { usePalette } from "../charts/palette";
import { metricLabel, metricTitle } from "../format/metrics";
import type { Selection } from "../pick/selection";
import { optionOf } from "./option";
import type { Scene } from "./scene";

interface Props {
  scene: Scene;
  onSelect: (trial: number) => void;
  /** Without it, dragging brushes nothing. */
  onBrush?: Selection["brush"];
}

/** Draws a scene. The default export, because it is loaded apart from the page. */
export default function ParetoChart({ scene, onSelect, onBrush }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const palette = usePalette();
  const option = useMemo(() => optionOf(scene, palette), [scene, palette]);
  const chart = useChart(box, option, (made) => {
    writePositions(made, scene);
  });

  const click = useCallback(
    (event: unknown) => {
      const trial = (event as { data?: { trial?: number } }).data?.trial;
      if (trial !== undefined) onSelect(trial);
    },
    [onSelect],
  );
  useChartEvent(chart, "click", click);

  const { x, y } = scene.axes;
  const brushed = useCallback(
    (event: unknown) => {
      const area = (event as { areas: { coordRange: [[number, number], [number, number]] }[] }).areas[0];
      if (!area || !onBrush) return;
      onBrush({ [x]: area.coordRange[0], [y]: area.coordRange[1] });
      // The address has it now, and the scene draws it from there.
      chart?.dispatchAction({ type: "brush", areas: [] });
    },
    [chart, onBrush, x, y],
  );
  useChartEvent(chart, "brushEnd", brushed);

  const canBrush = onBrush !== undefined && window.matchMedia("(pointer: fine)").matches;
  useEffect(() => {
    // A finger that drags over the chart scrolls the page; a mouse brushes.
    const brushOption = { brushType: canBrush ? "rect" : false, brushMode: "single" };
    chart?.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption });
  }, [chart, canBrush]);

  return <div ref={box} className="chart" role="img" aria-label={description(scene)} data-testid="pareto-chart" />;
}

function description({ axes, points, chosen, reference, thinnedBy }: Scene): string {
  const onFront = points.filter(({ kind }) => kind === "front").length;
  const parts = [
    `${metricTitle(axes.y)} against ${metricLabel(axes.x)}: ${points.length + thinnedBy} trials, ${onFront} of them on the front`,
    axes.colour && `coloured by ${metricLabel(axes.colour)}`,
    reference && "with the reference",
    chosen !== null && `trial ${chosen} is chosen`,
  ];
  return `${parts.filter(Boolean).join(", ")}. The table of trials has the same numbers.`;
}

/** Where each trial is drawn, in pixels of the chart: an automated browser can then point at one. */
function writePositions(chart: ECharts, { points }: Scene): void {
  const positions: Record<number, number[]> = {};
  for (const { x, y, trial } of points) {
    const pixel = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [x.value, y.value]).map(Math.round);
    if (chart.containPixel("grid", pixel)) positions[trial.trial] = pixel;
  }
  chart.getDom().dataset.positions = JSON.stringify(positions);
}
