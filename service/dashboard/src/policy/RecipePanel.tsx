import { useState } from "react";
import { recipeFormats, useOpenApi } from "../api/openapi";
import { recipeUrl, useRecipe, useRecipeLosses } from "../api/queries";
import { Command } from "../parts/Command";
import { Loading, ProblemNotice } from "../parts/Notice";

/** The recipe as it would leave, in each format that the service writes; a refusal says what the format cannot hold. */
export function RecipePanel({ job, trial }: { job: string; trial: number }) {
  const api = useOpenApi();
  const formats = recipeFormats(api.data);
  const [wanted, setFormat] = useState("tauten");
  const format = formats.includes(wanted) ? wanted : (formats[0] ?? "tauten");
  const recipe = useRecipe(job, trial, format);
  const losses = useRecipeLosses(job, trial, format, format !== "tauten" && recipe.data !== undefined).data?.losses ?? [];
  return (
    <section className="card" aria-labelledby="recipe-title">
      <div className="card-head">
        <h2 id="recipe-title">Recipe</h2>
        {formats.length > 1 && (
          <label className="field">
            Format
            <select value={format} onChange={(event) => setFormat(event.target.value)}>
              {formats.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
        <a className="button" href={recipeUrl(job, trial, format)} download={`recipe-${job}-${trial}.${extension(format)}`}>
          Download
        </a>
      </div>
      <div className="recipe" data-testid="recipe">
        {recipe.error ? (
          <ProblemNotice error={recipe.error} />
        ) : recipe.data === undefined ? (
          <Loading what="the recipe" />
        ) : (
          <>
            {losses.length > 0 && (
              <details className="losses" data-testid="losses">
                <summary>
                  What {format} cannot say: {losses.length} part{losses.length > 1 && "s"} of the policy
                </summary>
                <ul>
                  {losses.map(({ layer, part, lost, remedy }) => (
                    <li key={`${layer} ${part} ${lost}`}>
                      {layer !== null && <code>{layer}</code>} {part}: {lost}; {remedy}
                    </li>
                  ))}
                </ul>
              </details>
            )}
            <Command label={`Recipe of trial ${trial}, ${format}`} text={recipe.data} />
          </>
        )}
      </div>
    </section>
  );
}

const extension = (format: string): string => (format === "tauten" ? "yaml" : "txt");
