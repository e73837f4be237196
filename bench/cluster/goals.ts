import type { Goal } from "../goals.js"
import { single } from "./contestants.js"

const few = ["get-1", "set-1", "get-16", "set-16"]
const some = ["get-16", "set-16", "get-100", "set-100"]

export const clusterGoals: ReadonlyArray<Goal> = [
  { rows: few, against: [single], least: 0.95, by: "cpu" },
  { rows: some, against: ["node-redis"], least: 1.1 },
  { rows: ["get-100", "set-100"], against: ["node-redis-default", "ioredis", "glide"], least: 2.5 },
  { rows: ["mget-100"], against: ["node-redis"], least: 2 },
  { rows: ["pipeline-100"], against: ["glide"], least: 2 }
]
