"""Fast codecs: straight-line Python for one message in one version, written by walking its constructs.

`decoder(layout)` and `encoder(layout)` write the source of a function, compile it and return it; `decoder_source` and
`encoder_source` give the text to read. What a message looks like stands in its declaration, what a type looks like in
`primitives`, and how numbers, lengths, nulls and tags are laid out is asked of those constructs. What is here is how to
do the same in fewer steps:

- consecutive fixed-width fields are one `struct` call, and the first byte of a compact length, a count or a tagged
  section behind them joins it: below 128 that byte is the whole varint, anything else goes to a function;
- structs inside are handled in place, arrays of them in a loop, arrays of integers in one call;
- requests and responses without records are read out of one `bytes`, which is quicker than reading from a view; what
  has records, or stands in front of something else, is read where it is.
"""

from kpy.protocol.specialise.constructors import constructor
from kpy.protocol.specialise.decoders import decoder, decoder_source
from kpy.protocol.specialise.encoders import encoder, encoder_source

__all__ = ["constructor", "decoder", "decoder_source", "encoder", "encoder_source"]
