package informer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// errTooOld reports a list without the version that it shows, which a stream needs to continue it.
var errTooOld = errors.New("the cluster-state-service is too old: its lists have no entityVersion, as in v0.3; " +
	"upgrade it before its clients")

// listMetadata describes a list.
type listMetadata struct {
	version       int64
	notReconciled []string // ARNs of clusters
}

// decodeList reads {"items":[…],"metadata":{"entityVersion":"…"}} item by item: decoded as a whole, 100,000 tasks
// would be in memory twice. It passes malformed records to skip, so that one of them does not hide the others.
func decodeList[R any](
	from io.Reader, read func(*R) (*record[R], error), skip func(*record[R], error),
) (list []*record[R], metadata listMetadata, err error) {
	decoder := json.NewDecoder(from)
	var received models.ListMetadata
	err = object(decoder, func(field string) error {
		switch field {
		case "items":
			return array(decoder, func() error {
				value := new(R)
				err := decoder.Decode(value)
				if err != nil && !isMalformed(err) {
					return err
				}
				r, invalid := read(value)
				if err = errors.Join(err, invalid); err == nil && r.arn == "" {
					err = errNoIdentity
				}
				if err != nil {
					skip(r, err)
					return nil
				}
				list = append(list, r)
				return nil
			})
		case "metadata":
			return decoder.Decode(&received)
		default:
			return decoder.Decode(new(json.RawMessage))
		}
	})
	if err != nil {
		return nil, metadata, err
	}
	if received.EntityVersion == nil {
		return nil, metadata, errTooOld
	}
	metadata.notReconciled = received.NotReconciled
	metadata.version, err = parseVersion(*received.EntityVersion)
	return list, metadata, err
}

// isMalformed reports whether err concerns one complete JSON value, so that decoding can continue after it.
func isMalformed(err error) bool {
	var wrongType *json.UnmarshalTypeError
	return errors.As(err, &wrongType)
}

// object calls member for each field; member must read the value.
func object(d *json.Decoder, member func(field string) error) error {
	return enclosed(d, '{', func() error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		return member(name.(string)) // the decoder guarantees a string
	}, '}')
}

// array calls element for each element; element must read it.
func array(d *json.Decoder, element func() error) error { return enclosed(d, '[', element, ']') }

func enclosed(d *json.Decoder, from json.Delim, each func() error, to json.Delim) error {
	if err := expect(d, from); err != nil {
		return err
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return expect(d, to)
}

func expect(d *json.Decoder, want json.Delim) error {
	if got, err := d.Token(); err != nil {
		return err
	} else if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}
