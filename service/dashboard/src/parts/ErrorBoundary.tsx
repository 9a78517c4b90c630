import { Component, type ReactNode } from "react";
import { ProblemNotice } from "./Notice";

/** Keeps a part that breaks from taking the page with it; React has no hook for this. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    return this.state.error ? <ProblemNotice error={this.state.error} /> : this.props.children;
  }
}
