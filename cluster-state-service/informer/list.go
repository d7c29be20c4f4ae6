package informer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// decodeList reads {"items":[…],"metadata":{"entityVersion":"…"}} item by item: with 100,000 tasks the whole of it would
// be in memory twice. An odd record is left out of the list, and told of: one must not hide all others.
func decodeList[R any](from io.Reader, read func(*R) (*record[R], error), odd func(*record[R], error)) (list []*record[R], version int64, err error) {
	decoder := json.NewDecoder(from)
	var about models.ListMetadata
	err = object(decoder, func(field string) error {
		switch field {
		case "items":
			return array(decoder, func() error {
				value := new(R)
				err := decoder.Decode(value)
				if err != nil && !isOdd(err) {
					return err
				}
				r, wrong := read(value)
				if err = errors.Join(err, wrong); err == nil && r.arn == "" {
					err = errNoIdentity
				}
				if err != nil {
					odd(r, err)
					return nil
				}
				list = append(list, r)
				return nil
			})
		case "metadata":
			return decoder.Decode(&about)
		default:
			return decoder.Decode(new(json.RawMessage))
		}
	})
	if err != nil {
		return nil, 0, err
	}
	version, err = parseVersion(text(about.EntityVersion))
	return list, version, err
}

// isOdd tells whether err is about one JSON value that has been read as a whole: what follows it can be read.
func isOdd(err error) bool {
	var wrongType *json.UnmarshalTypeError
	return errors.As(err, &wrongType)
}

// object calls member for each field, which must read its value.
func object(d *json.Decoder, member func(field string) error) error {
	return enclosed(d, '{', func() error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		return member(name.(string)) // as the decoder has checked
	}, '}')
}

// array calls element for each, which must read it.
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
		return fmt.Errorf("%v where %v should be", got, want)
	}
	return nil
}
