// Replays a published log with Go's own implementation of the formats (golang.org/x/mod/sumdb).
//
//	verify [-witness VKEY]... [-quorum N] FOLDER VKEY [OLDER_CHECKPOINT [PROOF]]
//
// It checks the checkpoint's signature and the cosignatures of witnesses, hashes every entry of every bundle,
// compares every tile of every level with those hashes, proves consistency with an older checkpoint, and
// checks a proof of one entry.
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// path gives the place of a tile in C2SP tlog-tiles, which leaves out Go's tile height.
func path(t tlog.Tile) string {
	return strings.Replace(t.Path(), "tile/8/", "tile/", 1)
}

type folder string

func (f folder) Height() int                      { return height }
func (f folder) SaveTiles([]tlog.Tile, [][]byte)  {}
func (f folder) read(name string) ([]byte, error) { return os.ReadFile(filepath.Join(string(f), name)) }
func (f folder) ReadTiles(ts []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range ts {
		data, err := f.read(path(t))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func check(err error) {
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
}

func ensure(ok bool, format string, values ...any) {
	if !ok {
		check(fmt.Errorf(format, values...))
	}
}

// witness verifies the cosignatures of one key (C2SP tlog-cosignature, Ed25519).
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.id }
func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, []byte(signed), signature[8:])
}

type witnesses []note.Verifier

func (ws *witnesses) String() string { return "" }
func (ws *witnesses) Set(vkey string) error {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return fmt.Errorf("not a verifier key")
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return fmt.Errorf("not a witness's verifier key")
	}
	*ws = append(*ws, witness{parts[0], uint32(id), key[1:]})
	return nil
}

// cosigned checks that enough of the witnesses signed.
func cosigned(raw []byte, verifier note.Verifier, outside witnesses, quorum int) {
	opened, err := note.Open(raw, note.VerifierList(append(witnesses{verifier}, outside...)...))
	check(err)
	ensure(len(opened.Sigs)-1 >= quorum, "%d witnesses signed, %d are needed", len(opened.Sigs)-1, quorum)
	fmt.Println("witnesses", len(opened.Sigs)-1)
}

// tree parses the three lines of a checkpoint that this key signed.
func tree(raw []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	ensure(len(lines) == 4 && lines[0] == verifier.Name(), "not a checkpoint of this log")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// replay hashes all entries into Go's own storage layout.
func replay(f folder, size int64) []tlog.Hash {
	var stored []tlog.Hash
	index := int64(0)
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: height, L: 0, N: n, W: int(width)}
		name := strings.Replace(path(tile), "tile/0/", "tile/entries/", 1)
		data, err := f.read(name)
		check(err)
		for ; len(data) > 0; index++ {
			ensure(len(data) >= 2, "%s is cut short", name)
			length := int(binary.BigEndian.Uint16(data))
			ensure(len(data) >= 2+length, "%s is cut short", name)
			more, err := tlog.StoredHashes(index, data[2:2+length], reader(stored))
			check(err)
			stored = append(stored, more...)
			data = data[2+length:]
		}
		ensure(index == n*256+width, "%s holds another number of entries", name)
	}
	return stored
}

func reader(stored []tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			if at >= int64(len(stored)) {
				return nil, fmt.Errorf("hash %d is not there", at)
			}
			found[i] = stored[at]
		}
		return found, nil
	})
}

// tiles compares every tile of every level with what the entries give.
func tiles(f folder, size int64, hashes tlog.HashReader) int {
	count := 0
	for level := 0; size>>(height*level) > 0; level++ {
		for n, left := int64(0), size>>(height*level); left > 0; n, left = n+1, left-256 {
			tile := tlog.Tile{H: height, L: level, N: n, W: 256}
			if left < 256 {
				tile.W = int(left)
			}
			want, err := tlog.ReadTileData(tile, hashes)
			check(err)
			got, err := f.read(path(tile))
			check(err)
			ensure(bytes.Equal(got, want), "%s differs from the entries", path(tile))
			count++
		}
	}
	return count
}

// proof checks a C2SP tlog-proof of an entry of this log.
func proof(raw []byte, verifier note.Verifier, stored []tlog.Hash) {
	parts := strings.SplitN(string(raw), "\n\n", 2)
	ensure(len(parts) == 2, "not a proof")
	lines := strings.Split(parts[0], "\n")
	ensure(len(lines) > 1 && lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var siblings tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		siblings = append(siblings, hash)
	}
	head := tree([]byte(parts[1]), verifier)
	check(tlog.CheckRecord(siblings, head.N, head.Hash, index, stored[tlog.StoredHashIndex(0, index)]))
	fmt.Println("proof", index)
}

func main() {
	var outside witnesses
	flag.Var(&outside, "witness", "verifier key of a witness")
	quorum := flag.Int("quorum", 0, "witnesses that must have signed")
	flag.Parse()
	arguments := flag.Args()
	ensure(len(arguments) > 1, "usage: verify [-witness VKEY]... [-quorum N] FOLDER VKEY [OLDER [PROOF]]")
	f := folder(arguments[0])
	verifier, err := note.NewVerifier(arguments[1])
	check(err)
	raw, err := f.read("checkpoint")
	check(err)
	head := tree(raw, verifier)
	if len(outside) > 0 {
		cosigned(raw, verifier, outside, *quorum)
	}
	stored := replay(f, head.N)
	root, err := tlog.TreeHash(head.N, reader(stored))
	check(err)
	ensure(root == head.Hash, "the entries have another root hash than the checkpoint")
	fmt.Println("entries", head.N)
	fmt.Println("tiles", tiles(f, head.N, reader(stored)))
	if len(arguments) > 2 {
		raw, err := os.ReadFile(arguments[2])
		check(err)
		older := tree(raw, verifier)
		path, err := tlog.ProveTree(head.N, older.N, tlog.TileHashReader(head, f))
		check(err)
		check(tlog.CheckTree(path, head.N, head.Hash, older.N, older.Hash))
		fmt.Println("consistent", older.N)
	}
	if len(arguments) > 3 {
		raw, err := os.ReadFile(arguments[3])
		check(err)
		proof(raw, verifier, stored)
	}
}
