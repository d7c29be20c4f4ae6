package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// refresh corrects the records of container instances from ECS.
func (a *api) refresh(w http.ResponseWriter, r *http.Request) {
	request, err := readRefresh(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	corrected, err := a.refresher(r.Context(), *request.ClusterARN, request.ContainerInstanceARNs)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	httpserver.JSON(w, http.StatusOK, models.RefreshResult{Corrected: conv.Pointer(int64(corrected))})
}

// readRefresh reads and validates the body of a refresh.
func readRefresh(r *http.Request) (request models.RefreshRequest, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // it is too large or too slow
		return request, fmt.Errorf("read the body: %w", err)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&request); err != nil {
		return request, fmt.Errorf("%w: the body is no refresh in JSON: %w", state.ErrInvalidRefresh, err)
	}
	if err := request.Validate(strfmt.Default); err != nil {
		return request, fmt.Errorf("%w: %w", state.ErrInvalidRefresh, err)
	}
	if _, err := arn.ParseKind(*request.ClusterARN, arn.Cluster); err != nil {
		return request, fmt.Errorf("%w: clusterARN: %w", state.ErrInvalidRefresh, err)
	}
	for _, one := range request.ContainerInstanceARNs {
		if _, err := arn.ParseKind(one, arn.ContainerInstance); err != nil {
			return request, fmt.Errorf("%w: containerInstanceARNs: %w", state.ErrInvalidRefresh, err)
		}
	}
	return request, nil
}
