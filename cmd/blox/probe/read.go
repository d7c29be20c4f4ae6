package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/blox/blox/cmd/blox/connect"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// state checks what cluster-state-service answers.
func (r *run) state(ctx context.Context) bool {
	var instances []*models.ContainerInstance
	return r.all(ctx,
		step{StatePing, func(ctx context.Context) error {
			_, err := r.Clients.State.PingContext(ctx, css.NewPingParams())
			return err
		}},
		step{StateReady, func(ctx context.Context) error {
			_, err := r.Clients.State.ReadyContext(ctx, css.NewReadyParams())
			return err
		}},
		step{StateList, func(ctx context.Context) error {
			list, err := r.Clients.State.ListInstancesContext(ctx, css.NewListInstancesParams().WithCluster(optional(r.Cluster)))
			if err != nil {
				return err
			}
			instances = list.Payload.Items
			return nil
		}},
		step{StateGet, func(ctx context.Context) error {
			if len(instances) == 0 {
				return nil // as there may be none
			}
			want := instances[0].Entity
			got, err := r.Clients.State.GetInstanceContext(ctx, css.NewGetInstanceParams().WithCluster(clusterName(*want.ClusterARN)).WithArn(*want.ContainerInstanceARN))
			if connect.IsStatus(err, http.StatusNotFound) {
				return nil // it has left since
			}
			if err == nil && *got.Payload.Entity.ContainerInstanceARN != *want.ContainerInstanceARN {
				err = fmt.Errorf("asked for %s, and got %s", *want.ContainerInstanceARN, *got.Payload.Entity.ContainerInstanceARN)
			}
			return err
		}},
		step{StateStream, func(ctx context.Context) error {
			seen, stop := r.follow(ctx, nil)
			defer stop()
			return await(ctx, r.Freshness, func(context.Context) (string, error) {
				if seen.alive() {
					return "", nil
				}
				return "the stream shows no sign of life", seen.failure()
			})
		}},
	)
}

// scheduler checks what daemon-scheduler answers.
func (r *run) scheduler(ctx context.Context) bool {
	return r.all(ctx,
		step{SchedulerPing, func(ctx context.Context) error {
			_, err := r.Clients.Scheduler.PingContext(ctx, ds.NewPingParams())
			return err
		}},
		step{SchedulerReady, func(ctx context.Context) error {
			_, err := r.Clients.Scheduler.ReadyContext(ctx, ds.NewReadyParams())
			return err
		}},
		step{SchedulerList, func(ctx context.Context) error {
			list, err := r.Clients.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams().WithCluster(optional(r.Cluster)))
			if err == nil && list.Payload.Items == nil {
				err = errors.New("a list without items")
			}
			return err
		}},
	)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
