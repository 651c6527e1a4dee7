package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// Cluster is the nodes that share a database.
type Cluster interface {
	Status(context.Context) (node.Status, error)
	Tasks(context.Context) ([]cluster.Task, error)
	RetryTask(ctx context.Context, id string) error
	Drain(ctx context.Context, node string, on bool) (cluster.Info, error)
}

func (a *API) cluster() (Cluster, error) {
	if a.deps.Cluster == nil {
		return nil, errs.New(errs.Unavailable, "this server is no node: ask one whose roles include node")
	}
	return a.deps.Cluster, nil
}

func (a *API) clusterRoutes() []access.Route {
	drain := func(verb, summary string, on bool) access.Route {
		return route(a, op[wire.NodeName, cluster.Info]{
			method: http.MethodPost, path: "/nodes/{id}/" + verb, need: access.NeedAdmin,
			summary: summary, action: "node." + verb,
			object: func(in wire.NodeName, out cluster.Info) (string, string) { return in.ID, out.Host },
			run: func(ctx context.Context, _ *http.Request, in wire.NodeName) (cluster.Info, error) {
				c, err := a.cluster()
				if err != nil {
					return cluster.Info{}, err
				}
				if in.ID == "self" {
					in.ID = ""
				}
				return c.Drain(ctx, in.ID, on)
			},
		})
	}
	return []access.Route{
		route(a, op[wire.Empty, node.Status]{
			method: http.MethodGet, path: "/cluster", need: access.NeedViewer,
			summary: "how the nodes that share the database are, and what is short", run: a.clusterStatus,
		}),
		route(a, op[wire.Empty, wire.TasksOut]{
			method: http.MethodGet, path: "/cluster/tasks", need: access.NeedViewer,
			summary: "list the nodes' tasks that are not done", run: a.listTasks,
		}),
		route(a, op[wire.TaskID, wire.Empty]{
			method: http.MethodPost, path: "/cluster/tasks/{id}/retry", need: access.NeedAdmin,
			summary: "have a task tried again at once", action: "task.retry",
			object: func(in wire.TaskID, _ wire.Empty) (string, string) { return in.ID, "" },
			run: func(ctx context.Context, _ *http.Request, in wire.TaskID) (wire.Empty, error) {
				c, err := a.cluster()
				if err != nil {
					return wire.Empty{}, err
				}
				return wire.Empty{}, c.RetryTask(ctx, in.ID)
			},
		}),
		drain("drain", "have a node take nothing new and let go of its leases", true),
		drain("undrain", "have a node that drains take reports again", false),
	}
}

func (a *API) clusterStatus(ctx context.Context, _ *http.Request, _ wire.Empty) (node.Status, error) {
	c, err := a.cluster()
	if err != nil {
		return node.Status{}, err
	}
	return c.Status(ctx)
}

func (a *API) listTasks(ctx context.Context, _ *http.Request, _ wire.Empty) (wire.TasksOut, error) {
	c, err := a.cluster()
	if err != nil {
		return wire.TasksOut{}, err
	}
	tasks, err := c.Tasks(ctx)
	return wire.TasksOut{Tasks: tasks}, err
}
