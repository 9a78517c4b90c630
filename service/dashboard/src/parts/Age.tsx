import { age } from "../format/time";
import { useNow } from "./now";

export function Age({ moment }: { moment: string }) {
  return (
    <time dateTime={moment} title={new Date(moment).toLocaleString("en-GB", { timeZoneName: "short" })}>
      {age(moment, useNow())}
    </time>
  );
}
