"""`treeward replay`: a recorded workload as units of work, and a judgement of what came of them."""
