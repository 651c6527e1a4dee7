package wire

import "github.com/rind-project/rind/internal/network/node/cluster"

// NodeName names a node in a path.
type NodeName struct {
	ID string `path:"id" doc:"the node's id, its beginning, its host's name, or self for the node that is asked"`
}

// TaskID names a task in a path.
type TaskID struct {
	ID string `path:"id" doc:"the task's id"`
}

// TasksOut lists the tasks that are not done.
type TasksOut struct {
	Tasks []cluster.Task `json:"tasks" doc:"the dead ones first"`
}
