package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/blox/blox/cmd/blox/connect"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// checkCSS performs the steps that query cluster-state-service, and reports whether all succeeded.
func (r *run) checkCSS(ctx context.Context) bool {
	var instances []*models.ContainerInstance
	return r.perform(ctx,
		step{CSSPing, func(ctx context.Context) error {
			_, err := r.Clients.State.PingContext(ctx, css.NewPingParams())
			return err
		}},
		step{CSSReady, func(ctx context.Context) error {
			_, err := r.Clients.State.ReadyContext(ctx, css.NewReadyParams())
			return err
		}},
		step{CSSList, func(ctx context.Context) error {
			params := css.NewListInstancesParams()
			if r.Cluster != "" {
				params.WithCluster(&r.Cluster)
			}
			list, err := r.Clients.State.ListInstancesContext(ctx, params)
			if err != nil {
				return err
			}
			instances = list.Payload.Items
			return nil
		}},
		step{CSSGet, func(ctx context.Context) error { return r.getInstance(ctx, instances) }},
		step{CSSStream, func(ctx context.Context) error {
			stream, stop := r.openTaskStream(ctx, nil)
			defer stop()
			return await(ctx, r.StreamDelay, func(context.Context) (string, error) {
				if stream.active() {
					return "", nil
				}
				return "the stream sent no heartbeat", stream.failure()
			})
		}},
	)
}

// getInstance gets the first instance by its ARN. There may be none, and it may have left since the list.
func (r *run) getInstance(ctx context.Context, instances []*models.ContainerInstance) error {
	if len(instances) == 0 {
		return nil
	}
	want := instances[0].Entity
	params := css.NewGetInstanceParams().WithCluster(clusterName(*want.ClusterARN)).WithArn(*want.ContainerInstanceARN)
	got, err := r.Clients.State.GetInstanceContext(ctx, params)
	if connect.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	if err == nil && *got.Payload.Entity.ContainerInstanceARN != *want.ContainerInstanceARN {
		err = fmt.Errorf("get instance %s: got %s", *want.ContainerInstanceARN, *got.Payload.Entity.ContainerInstanceARN)
	}
	return err
}

// checkDS performs the steps that query daemon-scheduler, and reports whether all succeeded.
func (r *run) checkDS(ctx context.Context) bool {
	return r.perform(ctx,
		step{DSPing, func(ctx context.Context) error {
			_, err := r.Clients.Scheduler.PingContext(ctx, ds.NewPingParams())
			return err
		}},
		step{DSReady, func(ctx context.Context) error {
			_, err := r.Clients.Scheduler.ReadyContext(ctx, ds.NewReadyParams())
			return err
		}},
		step{DSList, func(ctx context.Context) error {
			params := ds.NewListEnvironmentsParams()
			if r.Cluster != "" {
				params.WithCluster(&r.Cluster)
			}
			list, err := r.Clients.Scheduler.ListEnvironmentsContext(ctx, params)
			if err == nil && list.Payload.Items == nil {
				err = errors.New("list environments: the response has no items")
			}
			return err
		}},
	)
}

// clusterName returns the name in a cluster's ARN.
func clusterName(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
