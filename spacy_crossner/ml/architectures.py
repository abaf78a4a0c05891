"""The architectures under the names that configs use."""

from spacy import registry

from spacy_crossner.ml.encoder import Tok2VecTransformer, TransformerModel
from spacy_crossner.ml.heads import TokenLabelHead, TokenPairHead

registry.architectures.register("spacy-crossner.TransformerModel.v1", func=TransformerModel)
registry.architectures.register("spacy-crossner.Tok2VecTransformer.v1", func=Tok2VecTransformer)
registry.architectures.register("spacy-crossner.TokenLabelHead.v1", func=TokenLabelHead)
registry.architectures.register("spacy-crossner.TokenPairHead.v1", func=TokenPairHead)
