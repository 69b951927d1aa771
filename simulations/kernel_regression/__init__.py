"""Ridge, random-feature and kernel regression as done: data drawn, systems solved, risks counted."""
